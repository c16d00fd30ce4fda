#[natter_macro::dto(request)]
struct ListRequest {
    #[from(cookie)]
    page: u64,
}

#[natter_macro::dto]
struct Nothing {
    page: u64,
}

fn main() {}
