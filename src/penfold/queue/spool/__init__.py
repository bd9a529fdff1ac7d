"""The embedded queue: logs of accepted mail, an index of what became of it. The contract is docs/internals/QUEUE.md."""
