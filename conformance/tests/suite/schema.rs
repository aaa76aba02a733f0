//! Every file of vectors has the form that `schema.json` tells, and the schema tells right from wrong.

use std::{fs, path::Path};

use serde_json::{Value, json};

fn read(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors").join(name);
    serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap()
}

#[test]
fn every_file_has_the_form_of_the_schema() {
    let schema = jsonschema::validator_for(&read("schema.json")).unwrap();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors");
    let mut cases = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name == "schema.json" {
            continue;
        }
        let file = read(&name);
        let faults: Vec<String> = schema
            .iter_errors(&file)
            .take(3)
            .map(|fault| format!("{}: {fault:.300}", fault.instance_path()))
            .collect();
        assert!(faults.is_empty(), "{name}: {faults:#?}");
        cases += file["cases"].as_array().unwrap().len();
    }
    assert!(cases > 1_300);
}

#[track_caller]
fn refused(what: &str, change: impl FnOnce(&mut Value)) {
    let schema = jsonschema::validator_for(&read("schema.json")).unwrap();
    let mut file = read("identity.json");
    change(&mut file);
    assert!(!schema.is_valid(&file), "{what}");
}

#[test]
fn the_schema_refuses_what_is_wrong() {
    refused("another format", |file| file["schema"] = json!("antiphon-vectors-2"));
    refused("no cases", |file| file["cases"] = json!([]));
    refused("an unknown operation", |file| file["cases"][0]["operation"] = json!("encode"));
    refused("an unknown field", |file| file["cases"][0]["comment"] = json!(""));
    refused("an unknown input", |file| file["cases"][0]["input"]["more"] = json!(1));
    refused("digits in capitals", |file| file["cases"][0]["input"]["hex"] = json!("AA"));
    refused("no requirement", |file| file["cases"][0]["requirements"] = json!([]));
    refused("a verdict of no kind", |file| file["cases"][0]["expect"]["verdict"] = json!("maybe"));
    refused("an accepting answer without output", |file| file["cases"][0]["expect"]["output"] = json!({}));
}
