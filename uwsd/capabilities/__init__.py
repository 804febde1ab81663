"""What the platform can do: one module a capability."""
