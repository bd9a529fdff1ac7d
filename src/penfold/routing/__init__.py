"""Where mail for an address goes: a pure function over recorded answers of tables."""
