"""A kubelet stand-in: runs the pods bound to one Node as ordinary local processes.

What is real: the API traffic (Node, Lease, pod status, TokenRequest, graceful deletion), the
processes and what they measure about themselves. What stands in: images are names that map to
commands, a pod's network is one loopback address, the memory limit is enforced by reading
`/proc` several times a second, and CPU limits are not enforced at all.
"""
