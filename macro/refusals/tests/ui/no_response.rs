/// List things
#[natter_macro::endpoint(GET "/r1/things", tag = "things", access = Access::User, rate = RateGroup::Read)]
impl Endpoint for List {
    type Request = NoInput;
}

fn main() {}
