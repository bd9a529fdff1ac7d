"""The demo: a complete mail host on loopback, with people, sample mail, and everything it does told in plain words.

``household`` is who lives there and what is written to disk for them, ``samples`` the mail they get, ``teller`` the
process that tells what happens, ``run`` puts them together around the same supervisor and roles that ``serve`` runs.
"""
