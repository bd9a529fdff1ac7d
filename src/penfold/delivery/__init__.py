"""The local delivery agent: mailbox choice, .forward, quota, running as the user."""
