"""The configuration: one TOML file into checked, frozen values."""
