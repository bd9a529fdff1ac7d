"""The roles: what each process of a mail host does. One file a role; ``base`` is what they have in common."""
