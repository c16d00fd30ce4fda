/// List things
#[natter_macro::endpoint(GET "/r1/things", tag = "things", rate = RateGroup::Read)]
impl Endpoint for List {
    type Request = NoInput;
    type Response = NoData;
}

fn main() {}
