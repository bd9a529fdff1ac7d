"""Who exists: accounts, domains, aliases."""
