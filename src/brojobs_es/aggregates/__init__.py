"""The two aggregates, `Order` and `Dispute`: their events, state, questions and what time does to them."""
