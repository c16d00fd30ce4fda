/// List things
#[natter_macro::endpoint(FETCH "/r1/things", tag = "things", access = Access::User, rate = RateGroup::Read)]
impl Endpoint for List {}

fn main() {}
