"""The engines that storms go over, each with daemons of its own that can be killed."""

from tests.engines.docker import own_docker

__all__ = ["own_docker"]
