"""The case file: all of an order in one bag that anybody can verify offline."""
