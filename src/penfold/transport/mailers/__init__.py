"""The ways out: one file a mailer."""
