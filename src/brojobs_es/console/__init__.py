"""What the command line shows: the replay of an order, the demo, the service's start and stop."""
