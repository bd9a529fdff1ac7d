"""The one door: every way in opens a Transaction here."""
