"""The lines between roles: for each pair, the records they speak and both ends, each end a driver of the same seam.

What is a method call in one process is a record here, batched and with credits. No record carries a message body:
bodies travel as descriptors or as references into files whose descriptors were passed before.
"""
