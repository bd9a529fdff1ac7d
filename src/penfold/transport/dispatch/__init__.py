"""The queue manager: claims mail from the queue, routes it, hands it to the mailers, retries, warns and bounces."""
