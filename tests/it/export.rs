//! Exports: CSV and XLSX of what the filters show (`R-EXPORT`), read back by others' readers.

use std::collections::BTreeMap;
use std::io::Cursor;

use calamine::{Data, Reader, Xlsx};

use crate::api::{bring, fresh, put_partner, served};
use crate::support::posthorn::both;
use crate::support::records::{lead, partner};

const MONDAY: &str = "2026-03-02T09:00:00.000Z";

/// A row by the names of its columns.
type Row = BTreeMap<String, String>;

fn csv_rows(bytes: &[u8]) -> Vec<Row> {
    let text = bytes.strip_prefix(b"\xEF\xBB\xBF").expect("a byte-order mark, for spreadsheets");
    let mut reader = csv::Reader::from_reader(text);
    reader.deserialize().map(|row| row.expect("a row")).collect()
}

fn xlsx_rows(bytes: &[u8]) -> Vec<Vec<Data>> {
    let mut book = Xlsx::new(Cursor::new(bytes)).expect("a workbook");
    assert_eq!(book.sheet_names(), ["Leads"]);
    let formulas = book.worksheet_formula("Leads").expect("a sheet");
    assert!(formulas.used_cells().next().is_none(), "no cell is a formula");
    let range = book.worksheet_range("Leads").expect("a sheet");
    range.rows().map(<[Data]>::to_vec).collect()
}

/// `R-EXPORT`
#[test]
fn an_export_has_what_the_list_shows_and_nothing_becomes_a_formula() {
    both(|posthorn| {
        posthorn.at(MONDAY).partner_records([partner("contoso"), partner("other")]);
        let hostile = ["=1+1", "+49 30 1", "-2", "@SUM(A1)", "\t=1", "\r=1"];
        posthorn.leads(
            hostile
                .iter()
                .zip(1..)
                .map(|(text, n)| lead(&format!("H{n}")).customer(&format!("{text} Müller")).with("name", *text)),
        );
        posthorn.leads([
            lead("theirs").partner("other"),
            lead("offer")
                .offer("ContactMe")
                .with("emailValidity", "Valid")
                .with("phoneValidity", "Invalid"),
        ]);
        let bytes = posthorn
            .ok(&["leads", "export", "--partner", "contoso", "--sort", "created"])
            .into_bytes();
        let rows = csv_rows(&bytes);
        let ids: Vec<&str> = rows.iter().map(|row| row["Id"].as_str()).collect();
        assert_eq!(ids, ["H1", "H2", "H3", "H4", "H5", "H6", "offer"]);
        for (row, text) in rows.iter().zip(hostile) {
            assert!(row["DealName"].starts_with('\''), "{text:?}: {row:?}");
        }
        assert_eq!(rows[0]["CustomerName"], "'=1+1 Müller");
        assert_eq!(rows[6]["LeadCreationDateTime"], "2026-03-02T08:00:00.000Z");
        assert_eq!(
            (rows[6]["EmailValidity"].as_str(), rows[6]["PhoneValidity"].as_str()),
            ("Valid", "Invalid")
        );
        assert_eq!((rows[6]["DealValue"].as_str(), rows[6]["Currency"].as_str()), ("1000", "GBP"));
        assert_eq!(
            (rows[6]["Email"].as_str(), rows[6]["LeadType"].as_str()),
            ("ada@fabrikam.example", "Offer")
        );

        let file = posthorn.folder().join("leads.xlsx").display().to_string();
        let said = posthorn.run(&["leads", "export", "--partner", "contoso", "--sort", "created", "--out", &file]);
        assert_eq!((said.code, said.stdout.as_str()), (0, ""), "{said}");
        assert!(said.stderr.contains("7 leads written to"), "{said}");
        let rows = xlsx_rows(&std::fs::read(&file).expect("the file"));
        assert_eq!(rows.len(), 8);
        let column = |name: &str| {
            rows[0]
                .iter()
                .position(|cell| *cell == Data::String(name.into()))
                .expect("a column")
        };
        assert_eq!(
            rows[1][column("CustomerName")],
            Data::String("=1+1 Müller".into()),
            "as it is: a text cannot be a formula"
        );
        assert_eq!(rows[7][column("DealValue")], Data::Float(1000.0));
        assert_eq!(rows[7][column("EmailValidity")], Data::String("Valid".into()));
    });
}

/// `R-EXPIRY`, `R-EXPORT`
#[test]
fn an_export_hides_what_a_list_hides() {
    both(|posthorn| {
        posthorn.at(MONDAY).partner_records([partner("contoso")]);
        posthorn.leads([lead("L1")]).at("2026-03-16T08:00:00.000Z");
        let rows = csv_rows(posthorn.ok(&["leads", "export", "--status", "Expired"]).as_bytes());
        assert_eq!((rows[0]["Substatus"].as_str(), rows[0]["City"].as_str()), ("Expired", "Leeds"));
        for hidden in ["Email", "Phone", "FirstName", "LastName", "AddressLine1"] {
            assert_eq!(rows[0][hidden], "", "{hidden}");
        }
    });
}

/// What does not fit on one page is there, too, in order.
#[test]
fn an_export_goes_on_over_pages() {
    both(|posthorn| {
        posthorn.at(MONDAY).partner_records([partner("contoso")]);
        posthorn.leads((0..450).map(|n| lead(&format!("L{n:03}")).created(&format!("2026-03-01T{:02}:{:02}:00Z", n / 60, n % 60))));
        let rows = csv_rows(posthorn.ok(&["leads", "export", "--sort", "created"]).as_bytes());
        let ids: Vec<String> = rows.iter().map(|row| row["Id"].clone()).collect();
        assert_eq!(ids, (0..450).map(|n| format!("L{n:03}")).collect::<Vec<_>>());
        let file = posthorn.folder().join("all.XLSX").display().to_string();
        posthorn.ok(&["leads", "export", "-q", "--sort", "created", "-o", &file]);
        let sheet = xlsx_rows(&std::fs::read(&file).expect("the file"));
        assert_eq!((sheet.len(), &sheet[450][0]), (451, &Data::String("L449".into())));
    });
}

#[test]
fn an_export_that_cannot_be_written_says_so_and_leaves_nothing() {
    both(|posthorn| {
        posthorn.at(MONDAY).partner_records([partner("contoso")]);
        let nowhere = posthorn.folder().join("no/such/folder/leads.csv").display().to_string();
        let said = posthorn.refused(3, &["leads", "export", "--out", &nowhere]);
        assert!(said.contains("leads.csv cannot be written"), "{said}");
        let said = posthorn.refused(2, &["leads", "export", "--out", "leads.ods"]);
        assert!(said.contains(".ods"), "{said}");
        let empty = csv_rows(posthorn.ok(&["leads", "export"]).as_bytes());
        assert!(empty.is_empty(), "a header alone");
    });
}

/// `R-EXPORT`: over the API.
#[test]
fn a_portal_downloads_what_its_filters_show() {
    served(|_, web| {
        put_partner(web, partner("contoso"));
        bring(web, (0..250).map(|n| fresh(&format!("L{n:03}"))));
        web.post("/v1/leads/L007/accept", &serde_json::json!({})).expect(200);
        let answer = web.get("/v1/leads/export.csv?status=New").expect(200);
        assert_eq!(answer.header("content-type"), "text/csv; charset=utf-8");
        assert!(
            answer.header("content-disposition").starts_with("attachment; filename=\"leads-"),
            "{answer:?}"
        );
        assert_eq!(csv_rows(&answer.bytes).len(), 249);
        let answer = web.get("/v1/leads/export.xlsx?sort=customer").expect(200);
        assert_eq!(xlsx_rows(&answer.bytes).len(), 251);
        for (path, parameter) in [
            ("/v1/leads/export.csv?limit=5", "/limit"),
            ("/v1/leads/export.xlsx?cursor=x", "/cursor"),
            ("/v1/leads/export.csv?quality=mid", "/quality"),
            ("/v1/leads?tab=mine", "/tab"),
            ("/v1/leads?sort=name", "/sort"),
            ("/v1/leads?type=page", "/type"),
            ("/v1/leads?kind=odd", "/kind"),
        ] {
            assert_eq!(web.get(path).problem(400)["errors"][0]["pointer"], parameter, "{path}");
        }
    });
}
