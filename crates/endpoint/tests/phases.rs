//! Tests of the phases of an endpoint: the result of the first phase is passed to the others, and
//! the last one always runs.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::{
    ffi::OsString,
    sync::{Arc, LazyLock, Mutex},
};

use actix_web::{App, test as http, web::Data};
use appcore::{AppError, Clock, Code, InstanceId, config, event::MemoryBus};
use dbcontext::Database;
use endpoint::{Access, Ctx, Endpoint, EndpointDef, NoData, RateGroup, Reply, Routes};
use migration::{Migrator, MigratorTrait as _};
use natter_macro::{dto, endpoint};

static ENDPOINTS: [EndpointDef; 1] = [EndpointDef::of::<CountLetters>()];
/// Arguments with which the last phase was called.
static SHOWN: Mutex<Vec<(Option<usize>, Option<Code>)>> = Mutex::new(Vec::new());

#[dto(request)]
pub struct CountLettersRequest {
    #[from(query)]
    pub word: String,
}

/// Count letters
#[endpoint(GET "/t/letters", tag = "t", access = Access::Public, rate = RateGroup::Read)]
impl Endpoint for CountLetters {
    type Request = CountLettersRequest;
    type Response = NoData;
    type Loaded = usize;

    async fn handle_before(_: &Ctx, request: &mut CountLettersRequest) -> Result<usize, AppError> {
        if request.word == "none" { Err(Code::NotFound.into()) } else { Ok(request.word.len()) }
    }

    async fn handle(_: &Ctx, _: CountLettersRequest, letters: &usize) -> Result<Reply<NoData>, AppError> {
        if *letters > 3 { Err(Code::WrongState.into()) } else { Ok(Reply::of(NoData)) }
    }

    async fn handle_after(_: &Ctx, letters: Option<&usize>, result: Result<&Reply<NoData>, &AppError>) {
        SHOWN.lock().unwrap().push((letters.copied(), result.err().map(AppError::code)));
    }
}

#[actix_web::test]
async fn passes_the_result_of_the_first_phase_on() {
    static ROUTES: LazyLock<Routes> = LazyLock::new(|| Routes::new("/t", ENDPOINTS.iter()));
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}/natter.db", folder.path().display());
    let database = Database::connect(&url, 2).await.unwrap();
    Migrator::up(database.schema(), None).await.unwrap();
    let data = folder.path().display().to_string();
    let settings = [("NATTER__DATABASE__URL", &*url), ("NATTER__SERVER__DATA_DIR", &*data)];
    let environment = settings.map(|(key, value)| (OsString::from(key), OsString::from(value)));
    let config = Arc::new(config::load_core(None, environment).unwrap().config);
    let (bus, clock) = (Arc::new(MemoryBus::new()), Clock::system());
    let app =
        app::App::build(platform::Core::build(config, InstanceId::new(), clock, database, bus, None).await.unwrap())
            .await
            .unwrap();
    let server = App::new().app_data(Data::from(app)).configure(|config| ROUTES.configure(config));
    let server = http::init_service(server).await;

    for (query, status) in [("word=one", 200), ("word=none", 404), ("word=three", 409), ("", 422)] {
        let request = http::TestRequest::get().uri(&format!("/t/letters?{query}"));
        let request = request.peer_addr("127.0.0.1:1".parse().unwrap()).to_request();
        assert_eq!(http::call_service(&server, request).await.status().as_u16(), status, "{query}");
    }
    let shown =
        [(Some(3), None), (None, Some(Code::NotFound)), (Some(5), Some(Code::WrongState)), (None, Some(Code::Invalid))];
    assert_eq!(*SHOWN.lock().unwrap(), shown);
}
