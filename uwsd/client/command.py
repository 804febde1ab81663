"""How a command of the client ends when it fails."""

import click

from uwsd.client.errors import ClientError, Interrupted
from uwsd.client.terminal import tell


class Command(click.Command):
    """A command whose failures are one line on stderr and an exit status."""

    def invoke(self, ctx: click.Context) -> object:
        """Run the command; end with the status that a failure has."""
        try:
            return super().invoke(ctx)
        except ClientError as error:
            tell(f"uwsd: {error}")
            ctx.exit(error.exit_code)
        except KeyboardInterrupt:
            ctx.exit(Interrupted.exit_code)
