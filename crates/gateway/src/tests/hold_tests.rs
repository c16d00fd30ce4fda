//! Tests of reservations of calls in progress.

use super::*;

#[tokio::test]
async fn stream_with_unlimited_output_extends_its_reservation() {
    for stage in stages().await {
        let service = instance(&stage).await;
        let anna = principal(&service.identity, &sign_up(&service.identity, "Anna").await).await;
        priced(&service, &anna).await;
        // An answer without a limit reserves 4,096 output tokens: 41,060 micro-credits with the
        // input.
        let (id, secret) = key(&service, &anna, with_budget(100_000)).await;
        let caller = caller(&service, &secret).await;
        let budget = BudgetId { scope: BudgetScope::Key, id: id.0 };
        let limited = ask(&service, &caller, "small").await.ok().unwrap();
        assert!(limited.extend_reservation(&used(100, 10).usage).is_none(), "the caller limits its output");
        drop(limited);
        service.flush().await;
        let question = CallRequest { estimate: TokenEstimate::text_only(100, None), ..request("small") };
        let mut stream = authorize(&service, &caller, GatewayEndpoint::Chat, question).await.ok().unwrap();
        assert!(stream.extend_reservation(&used(100, 3_000).usage).is_none());
        let more = stream.extend_reservation(&used(100, 4_000).usage).unwrap().await.ok().unwrap();
        stream.add_reservation(more);
        assert_eq!(spent_and_held(&service, budget).await, (0, 82_120));
        assert!(stream.extend_reservation(&used(100, 5_000).usage).is_none());
        let refused = stream.extend_reservation(&used(100, 8_000).usage).unwrap().await;
        assert!(matches!(refused, Err(Refusal::OutOfBudget(_))));
        stream.settle(used(100, 8_000));
        service.flush().await;
        assert_eq!(spent_and_held(&service, budget).await, (80_100, 0));
    }
}

#[tokio::test]
async fn releases_reservations_of_callers_who_are_gone() {
    for stage in stages().await {
        let service = instance(&stage).await;
        let anna = principal(&service.identity, &sign_up(&service.identity, "Anna").await).await;
        priced(&service, &anna).await;
        let (id, secret) = key(&service, &anna, with_budget(1_000_000)).await;
        let caller = caller(&service, &secret).await;
        let budget = BudgetId { scope: BudgetScope::Key, id: id.0 };
        let question = CallRequest { estimate: TokenEstimate::text_only(100, None), ..request("small") };
        let stream = authorize(&service, &caller, GatewayEndpoint::Chat, question).await.ok().unwrap();
        let mut growth = Box::pin(stream.extend_reservation(&used(100, 4_000).usage).unwrap());
        assert!(poll_fn(|context| Poll::Ready(growth.as_mut().poll(context).is_pending())).await);
        drop((growth, stream));
        // Reservation requests are decided in their order of arrival.
        drop(ask(&service, &caller, "small").await.ok().unwrap());
        until(async || spent_and_held(&service, budget).await == (0, 0)).await;
    }
}

#[tokio::test]
async fn stream_with_unlimited_searches_extends_its_reservation() {
    for stage in stages().await {
        let service = instance(&stage).await;
        let anna = principal(&service.identity, &sign_up(&service.identity, "Anna").await).await;
        priced_at(&service, &anna, ModelPrice { search: Some(MicroCredits(1_000)), ..PRICE }).await;
        let (id, secret) = key(&service, &anna, with_budget(5_000)).await;
        let caller = caller(&service, &secret).await;
        let budget = BudgetId { scope: BudgetScope::Key, id: id.0 };
        let asking = async |has_open_tools: bool| {
            let tools = ToolUses { searches: 2, ..ToolUses::default() };
            let wanted = TokenEstimate { tools, has_open_tools, ..TokenEstimate::text_only(100, Some(10)) };
            let question = CallRequest { estimate: wanted, ..request("small") };
            authorize(&service, &caller, GatewayEndpoint::Messages, question).await.ok().unwrap()
        };
        let searched = |times: u64| Usage { searches: Some(times), ..used(100, 10).usage };
        let bounded = asking(false).await;
        assert!(bounded.extend_reservation(&searched(3)).is_none(), "the caller limits its tools");
        drop(bounded);
        service.flush().await;
        // Two searches are reserved, and 200 micro-credits for the tokens.
        let mut stream = asking(true).await;
        assert!(stream.extend_reservation(&searched(2)).is_none());
        let more = stream.extend_reservation(&searched(3)).unwrap().await.ok().unwrap();
        stream.add_reservation(more);
        assert_eq!(spent_and_held(&service, budget).await, (0, 4_400));
        assert!(stream.extend_reservation(&searched(4)).is_none());
        assert!(matches!(stream.extend_reservation(&searched(5)).unwrap().await, Err(Refusal::OutOfBudget(_))));
        stream.settle(CallOutcome { usage: searched(4), ..used(100, 10) });
        service.flush().await;
        assert_eq!(spent_and_held(&service, budget).await, (4_200, 0));
    }
}

#[tokio::test]
async fn growing_stream_owes_nothing_that_was_reserved() {
    for stage in stages().await {
        let settings = [SETTINGS, &[("payment.demo.enabled", "true")]].concat();
        let service = instance_with(&stage, &settings).await;
        let anna = principal(&service.identity, &sign_up(&service.identity, "Anna").await).await;
        priced(&service, &anna).await;
        // In the end all but a hundred micro-credits are reserved.
        let (holder, present) = (AccountHolder::Person(anna.user_id), MicroCredits(82_220));
        credits::adjust_balance(
            &service.billing,
            &confirmed(&service, &anna).await,
            holder,
            present,
            "A present".to_owned(),
        )
        .await
        .unwrap();
        let (_, secret) = key(&service, &anna, PolicyChange::default()).await;
        let caller = caller(&service, &secret).await;
        let question = CallRequest { estimate: TokenEstimate::text_only(100, None), ..request("small") };
        let mut stream = authorize(&service, &caller, GatewayEndpoint::Chat, question).await.ok().unwrap();
        let more = stream.extend_reservation(&used(100, 4_000).usage).unwrap().await.ok().unwrap();
        stream.add_reservation(more);
        stream.settle(used(100, 8_000));
        service.flush().await;
        let account = ledger_rows::account(service.db.writer(), anna.user_id.0).await.unwrap().unwrap();
        assert_eq!((account.balance.0, account.owed.0, account.held.0), (2_120, 0, 0));
        let wanted = ledger_rows::EntryFilter {
            account_id: Some(anna.user_id.0),
            from: Timestamp(0),
            to: Timestamp(i64::MAX),
            before: Uuid::max(),
        };
        let entries = ledger_rows::entries_after(service.db.writer(), wanted, Uuid::nil(), 100).await.unwrap();
        assert!(entries.iter().all(|entry| entry.kind != "owed"), "{entries:#?}");
        assert!(ledger::verify(&service.db).await.unwrap().1.is_empty());
    }
}

#[tokio::test]
async fn unsettled_reservation_expires_and_a_late_cost_is_booked() {
    for stage in stages().await {
        let service = instance(&stage).await;
        let anna = principal(&service.identity, &sign_up(&service.identity, "Anna").await).await;
        priced(&service, &anna).await;
        let (id, secret) = key(&service, &anna, with_budget(200)).await;
        let caller = caller(&service, &secret).await;
        let budget = BudgetId { scope: BudgetScope::Key, id: id.0 };
        let lost = ask(&service, &caller, "small").await.ok().unwrap();
        assert!(matches!(ask(&service, &caller, "small").await, Err(Refusal::OutOfBudget(_))));
        stage.pass(79);
        service.billing.reservations.renew().await.unwrap();
        stage.pass(79);
        service.billing.reservations.sweep().await.unwrap();
        assert_eq!(spent_and_held(&service, budget).await, (0, 200), "a call in progress keeps its reservation");
        // Simulates the death of the instance, which then no longer renews the reservation.
        stage.pass(2);
        service.billing.reservations.sweep().await.unwrap();
        assert_eq!(spent_and_held(&service, budget).await, (0, 0));
        lost.settle(used(100, 5));
        service.flush().await;
        assert_eq!(spent_and_held(&service, budget).await, (150, 0));
    }
}
