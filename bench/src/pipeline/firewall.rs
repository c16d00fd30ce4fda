//! Cost of the check whether an address is banned.

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use appcore::{Clock, InstanceId, RequestSource, event::MemoryBus, limit::Violation};
use dbcontext::Database;
use platform::Core;

const CHECKS: u32 = 5_000_000;
/// Number of banned addresses in the second measurement.
const BANNED: u32 = 500;

/// Prints the time of a check in nanoseconds, without bans and with many.
pub fn measure(folder: &Path) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let settings = [
            ("NATTER__SERVER__DATA_DIR", folder.display().to_string()),
            ("NATTER__FIREWALL__VIOLATIONS_TO_BAN", "1".to_owned()),
            ("NATTER__FIREWALL__DURATIONS", "1".to_owned()),
        ];
        let settings = settings.map(|(name, value)| (name.into(), value.into()));
        let config = appcore::config::load_core(None, settings)?.config;
        let db = Database::connect(config.database.url.expose(), 2).await?;
        // The clock is stopped, so that no ban expires during the measurement.
        let clock = Clock::stopped_at(Clock::system().now());
        let bus = Arc::new(MemoryBus::new());
        let core = Core::build(Arc::new(config), InstanceId::new(), clock, db.clone(), bus, None).await?;
        let time = || {
            let start = Instant::now();
            for n in 0..CHECKS {
                let address = IpAddr::V4(Ipv4Addr::from(0xC633_6400 + (n & 0xFF)));
                let _ = black_box(core.firewall.check_manual(|| Some(black_box(address))));
                let _ = black_box(core.firewall.is_banned_automatically(|| Some(black_box(address))));
            }
            start.elapsed().as_nanos() as f64 / f64::from(CHECKS)
        };
        println!("a check while nobody is banned: {:.1} ns", time());
        for n in 0..BANNED {
            core.firewall
                .record_violation(
                    RequestSource::direct(Some(IpAddr::V4(Ipv4Addr::from(0xCB00_7100 + n)))),
                    Violation::Probe,
                )
                .await;
        }
        println!("a check of somebody else while {BANNED} are banned: {:.1} ns", time());
        drop(core);
        Ok(db.close().await?)
    })
}
