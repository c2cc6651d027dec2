def test_x(world):
    o = world.under_review()
    print(o.see()); print(o.see("buyer","dispute")); print(o.balanced()); print(o.types())
    print(o.see("buyer","actions")); print(o.see("buyer","chat")); print(o.see("mediator","dispute/thread")); print(o.events()[0])
