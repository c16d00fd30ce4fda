/// Delete a thing
#[natter_macro::endpoint(DELETE "/r1/things", tag = "things", access = Access::User, rate = RateGroup::Write, requires = Confirmed)]
impl Endpoint for Delete {
    type Request = NoInput;
    type Response = NoData;

    async fn handle(ctx: &Ctx, _: NoInput) -> Result<Reply<NoData>, AppError> {
        Ok(Reply::of(NoData))
    }
}

fn main() {}
