"""A real Kubernetes control plane, a Prometheus and a node, made of local processes.

What is real and what stands in: ``tests/e2e/README.md``.
"""
