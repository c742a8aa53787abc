//! The process ends at every commit and at every stage of an SMTP conversation, as `kill -9` would end it, and is started again.
//!
//! Runs with `--features fault-points`; without it there is nothing to end it at.

#[cfg(not(feature = "fault-points"))]
#[test]
fn without_fault_points_there_is_nothing_to_show() {
    use std::io::Write;
    writeln!(
        std::io::stderr(),
        "crash tests: not run, as the feature fault-points is off; `cargo xtask test` has it on"
    )
    .ok();
}

#[cfg(feature = "fault-points")]
mod with_fault_points {
    use std::collections::{BTreeMap, BTreeSet, VecDeque};
    use std::fs;
    use std::io::Write;
    use std::time::Instant;

    use crate::support::database::{end_leases, query};
    use crate::support::ledger::{Ledger, Sums, Told, all_told};
    use crate::support::posthorn::{Output, Posthorn};
    use crate::support::records::{lead, ndjson, partner};
    use crate::support::smtp::Relay;

    /// What `abort` leaves as an exit code.
    const ABORTED: i32 = -6;

    /// A step of the story: an instant, and a command.
    struct Step {
        now: &'static str,
        command: &'static [&'static str],
    }

    /// A quarter of a month, told in commands: intake, singles, an answer, the fire, the expiry, its notice.
    const STORY: &[Step] = &[
        Step {
            now: "2026-03-02T09:00:00Z",
            command: &["import", "--yes", "leads.ndjson"],
        },
        Step {
            now: "2026-03-02T09:05:00Z",
            command: &["work", "--until-idle"],
        },
        Step {
            now: "2026-03-02T10:00:00Z",
            command: &["leads", "decline", "C02", "--reason", "busy"],
        },
        Step {
            now: "2026-03-02T10:05:00Z",
            command: &["work", "--until-idle"],
        },
        Step {
            now: "2026-03-02T17:00:00Z",
            command: &["work", "--until-idle"],
        },
        Step {
            now: "2026-03-16T09:30:00Z",
            command: &["work", "--until-idle"],
        },
        Step {
            now: "2026-03-16T11:30:00Z",
            command: &["work", "--until-idle"],
        },
    ];

    /// The N-th hit of a point, in one step of the story.
    #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
    struct Fault {
        name: String,
        n: usize,
    }

    fn leads() -> String {
        let contoso = (1..=14).map(|n| lead(&format!("C{n:02}")).contact(&format!("c{n:02}@customer.example"), "de"));
        let fabrikam = (1..=6).map(|n| lead(&format!("F{n:02}")).partner("fabrikam"));
        let adatum = (1..=4).map(|n| lead(&format!("A{n:02}")).partner("adatum").location("here"));
        let northwind = (1..=3).map(|n| lead(&format!("N{n:02}")).partner("northwind"));
        let sent = (1..=2).map(|n| lead(&format!("S{n:02}")).partner("northwind").invited_by("contoso"));
        ndjson(contoso.chain(fabrikam).chain(adatum).chain(northwind).chain(sent))
    }

    fn partners() -> String {
        ndjson([
            partner("contoso"),
            partner("fabrikam")
                .threshold(2)
                .preferred("one@fabrikam.example")
                .preferred("two@fabrikam.example"),
            // Refused for good, so that the admin is told instead.
            partner("adatum").location("here", true, &["dead@adatum.example"]),
            // Told to come back later, once.
            partner("northwind"),
        ])
    }

    fn relay() -> Relay {
        let relay = Relay::start();
        relay.refuse_address("dead@adatum.example", "550 5.1.1 no such user", usize::MAX);
        relay.refuse_address("admin@northwind.example", "451 4.3.0 come back later", 1);
        relay
    }

    /// Prepares an installation whose partners are known.
    fn begin(posthorn: &Posthorn, relay: &Relay) {
        posthorn
            .setting("mail.transport", "smtp")
            .setting("smtp.relays", &relay.relays())
            .setting("portal.lead_desk", "desk@portal.example")
            .setting("worker.connections", "2");
        posthorn.rehearsal().at("2026-03-02T08:59:00Z").partners(&partners());
        posthorn.file("leads.ndjson", &leads());
    }

    fn take(posthorn: &Posthorn, step: &Step) -> Output {
        posthorn.at(step.now).run(step.command)
    }

    /// Tells the story once without a fault; returns who was told what, and how often each point was hit at each step.
    fn tell(posthorn: &Posthorn) -> (BTreeSet<Told>, Vec<BTreeMap<String, usize>>) {
        let relay = relay();
        begin(posthorn, &relay);
        let mut hits = Vec::new();
        for (n, step) in STORY.iter().enumerate() {
            let file = posthorn.folder().join(format!("hits.{n}"));
            posthorn.env("POSTHORN_FAULT_COUNT", &file.to_string_lossy());
            let output = take(posthorn, step);
            assert_eq!(output.code, 0, "step {n}\n{output}");
            let mut counts = BTreeMap::new();
            for name in fs::read_to_string(&file).unwrap_or_default().lines() {
                *counts.entry(name.to_owned()).or_default() += 1;
            }
            hits.push(counts);
        }
        posthorn.no_env("POSTHORN_FAULT_COUNT");
        let sums = Ledger::default().balance(posthorn, &[&relay]);
        assert_eq!(sums.n_repeats, 0);
        posthorn.audit_is_clean();
        (all_told(&relay), hits)
    }

    /// Chooses the faults of a step: every commit; where most of the mails go out, each SMTP stage at its first, middle and last hit, and once
    /// in every other step. Those that come early are first.
    fn choose(hits: &BTreeMap<String, usize>) -> VecDeque<Fault> {
        let is_long = hits.get("smtp.dot.sent").is_some_and(|count| *count > 10);
        let mut chosen = Vec::new();
        for (name, count) in hits {
            let wanted: BTreeSet<usize> = if name.starts_with("commit.") {
                (1..=*count).collect()
            } else if is_long {
                [1, count.div_ceil(2), *count].into()
            } else {
                [count.div_ceil(2)].into()
            };
            chosen.extend(wanted.into_iter().map(|n| (n * 1000 / count, Fault { name: name.clone(), n })));
        }
        chosen.sort();
        chosen.into_iter().map(|(_, fault)| fault).collect()
    }

    /// The faults of each step that have not struck yet.
    struct Plan {
        /// To be tried three in a row: two early ones, then a late one.
        in_rows: Vec<VecDeque<Fault>>,
        /// Those that a death before them has kept from striking.
        alone: Vec<VecDeque<Fault>>,
        n_faults: usize,
        missed: Vec<(usize, Fault)>,
        /// Steps, and the points at which a process died there.
        struck: BTreeSet<(usize, String)>,
    }

    impl Plan {
        fn is_over(&self) -> bool {
            self.in_rows.iter().chain(&self.alone).all(VecDeque::is_empty)
        }

        /// Tells the story with the next faults of each step, each death followed by a new start; the same people must be told the same.
        fn tell(&mut self, posthorn: &Posthorn, expected: &BTreeSet<Told>) -> Sums {
            let relay = relay();
            begin(posthorn, &relay);
            let mut ledger = Ledger::default();
            let mut tried = Vec::new();
            for (n, step) in STORY.iter().enumerate() {
                let faults = &mut self.in_rows[n];
                let row = [faults.pop_front(), faults.pop_front(), faults.pop_back()];
                let is_alone = row[0].is_none();
                let faults: Vec<Fault> = if is_alone {
                    self.alone[n].pop_front().into_iter().collect()
                } else {
                    row.into_iter().flatten().collect()
                };
                for fault in faults {
                    let n_before = relay.mails().len();
                    posthorn.env("POSTHORN_FAULT", &format!("{}:{}", fault.name, fault.n));
                    let output = take(posthorn, step);
                    posthorn.no_env("POSTHORN_FAULT");
                    if output.code == ABORTED {
                        ledger.died(posthorn, &relay, n_before);
                        end_leases(posthorn);
                        self.struck.insert((n, fault.name.clone()));
                        tried.push((n, fault));
                    } else {
                        // Two connections do not hit every point as often at every run, and a death before leaves less to be hit.
                        check_done(step, &output, &tried);
                        if is_alone {
                            self.missed.push((n, fault));
                        } else {
                            self.alone[n].push_back(fault);
                        }
                    }
                }
                let output = take(posthorn, step);
                check_done(step, &output, &tried);
            }
            assert_eq!(all_told(&relay), *expected, "after {tried:?}");
            let closed = query(posthorn, "select partner_id from digest where state = 'closed' order by partner_id");
            assert_eq!(closed, [["contoso"], ["fabrikam"]], "after {tried:?}");
            posthorn.audit_is_clean();
            ledger.balance(posthorn, &[&relay])
        }
    }

    /// A command that comes again, since nobody heard its answer, is done or says that it was.
    #[track_caller]
    fn check_done(step: &Step, output: &Output, tried: &[(usize, Fault)]) {
        let is_done_before = step.command[0] == "leads" && output.code == 5;
        assert!(output.code == 0 || is_done_before, "after {tried:?}\n{output}");
    }

    fn check(engine: &str, make: impl Fn() -> Posthorn) {
        let begun = Instant::now();
        let (expected, hits) = tell(&make());
        let in_rows: Vec<VecDeque<Fault>> = hits.iter().map(choose).collect();
        let mut plan = Plan {
            n_faults: in_rows.iter().map(VecDeque::len).sum(),
            alone: vec![VecDeque::new(); in_rows.len()],
            in_rows,
            missed: Vec::new(),
            struck: BTreeSet::new(),
        };
        let mut sums = Sums::default();
        let mut n_stories = 0;
        while !plan.is_over() {
            sums += plan.tell(&make(), &expected);
            n_stories += 1;
        }
        let n_points = hits.iter().flat_map(BTreeMap::keys).collect::<BTreeSet<_>>().len();
        writeln!(
            std::io::stderr(),
            "crash, {engine}: {n_points} points, {} faults in {n_stories} stories of {} mails each: {sums}; {} did not strike ({:.0} s)",
            plan.n_faults,
            expected.len(),
            plan.missed.len(),
            begun.elapsed().as_secs_f32()
        )
        .ok();
        // How many commits a step takes is a matter of timing: one beyond the last is not there to be struck. No kind of point is passed over.
        for (step, points) in hits.iter().enumerate() {
            for name in points.keys() {
                assert!(
                    plan.struck.contains(&(step, name.clone())),
                    "{name} never struck in step {step}: {:?}",
                    plan.missed
                );
            }
        }
        assert!(plan.missed.len() * 4 <= plan.n_faults, "did not strike: {:?}", plan.missed);
    }

    /// R-INTAKE, R-DIGEST: nothing is lost and nothing is closed twice, wherever the process ends.
    #[test]
    fn a_death_at_any_commit_or_smtp_stage_loses_nothing_on_sqlite() {
        check("SQLite", Posthorn::sqlite);
    }

    #[test]
    fn a_death_at_any_commit_or_smtp_stage_loses_nothing_on_postgresql() {
        if Posthorn::postgres().is_some() {
            check("PostgreSQL", || Posthorn::postgres().expect("it was there a moment ago"));
        }
    }
}
