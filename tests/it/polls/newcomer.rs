//! From an unknown WSDL to a working REST call with `inspect` and `infer` alone, at a service of strangers.

use serde_json::Value;

use super::site_at;
use super::typed::started;
use crate::support::soap::SoapServer;

#[test]
fn a_newcomer_gets_from_a_wsdl_to_an_answer() {
    let server = SoapServer::spyne(&[]);
    let site = site_at(&server.url("/soap11"), "wsdl = \"orders.wsdl\"", "");
    std::fs::remove_file(site.path("mappings/items.v1.toml")).unwrap();
    let wsdl = ureq::get(server.url("/soap11?wsdl")).call().unwrap().body_mut().read_to_string().unwrap();
    site.write("orders.wsdl", wsdl.as_bytes());
    // What is there?
    let shown = site.run(&["inspect", "orders.wsdl"]);
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(shown.contains("GetOrder ") && shown.contains("ListOrders "), "{shown}");
    let shown = String::from_utf8(site.run(&["inspect", "--backend", "erp"]).stdout).unwrap();
    assert!(shown.contains("GetOrder ") && shown.contains("ListOrders "), "{shown}");
    // One record, asked for by its key; and all of them, polled.
    let infer = |arguments: &[&str], file: &str| {
        let output = site.run(&[&["infer"], arguments].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        site.write(&format!("mappings/{file}"), &output.stdout);
        String::from_utf8(output.stdout).unwrap()
    };
    let order = infer(&["--wsdl", "orders.wsdl", "--operation", "GetOrder", "--backend", "erp"], "order.v1.toml");
    let orders = infer(&["--backend", "erp", "--operation", "ListOrders"], "orders.v1.toml");
    // It only looks: nothing is kept by it.
    std::fs::remove_dir_all(site.path("var")).ok();
    let check = site.run(&["check", "--offline"]);
    assert!(!site.path("var/wsdl").exists());
    assert!(check.status.success(), "{}\n{order}\n{orders}", String::from_utf8_lossy(&check.stderr));
    let (said, code) = site.json(&["sync", "orders"]);
    assert_eq!((code, said[0]["staged"].as_u64()), (0, Some(25)), "{said:?}\n{orders}");
    let (service, key) = started(&site);
    let live: Value = serde_json::from_str(&service.get("/v1/order/7", &key).unwrap()).unwrap();
    let staged: Value = serde_json::from_str(&service.get("/v1/orders/7", &key).unwrap()).unwrap();
    for found in [&live, &staged] {
        assert_eq!(
            (found["reference"].as_str(), found["customer"].as_str()),
            (Some("REF-7"), Some("Müller & Söhne <7>")),
            "{found}"
        );
        assert_eq!(found["lines"].as_array().unwrap().len(), 1, "{found}");
    }
    assert_eq!(live, staged);
    // An answer that was captured in parts is read like one in one piece.
    let question = "<s:Envelope xmlns:s='http://schemas.xmlsoap.org/soap/envelope/'><s:Body><GetDocument xmlns='urn:tollbridge:orders'><Size>50</Size></GetDocument></s:Body></s:Envelope>";
    let captured = |path: &str| {
        let mut answer = ureq::post(server.url(path)).header("Content-Type", "text/xml").send(question).unwrap();
        let kind = answer.headers()["content-type"].to_str().unwrap().to_owned();
        (kind, answer.body_mut().read_to_vec().unwrap())
    };
    let decoded = |name: &str, bytes: &[u8]| {
        site.write(name, bytes);
        let output = site.run(&["decode", name, "--wsdl", "orders.wsdl", "--operation", "GetDocument"]);
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let plain = decoded("plain.xml", &captured("soap11").1);
    assert!(plain.contains("GetDocumentResult") && plain.len() > 80, "{plain}");
    for path in ["mtom", "swa"] {
        let (kind, bytes) = captured(path);
        assert!(kind.starts_with("multipart/related"), "{kind}");
        assert_eq!(decoded("parts.bin", &bytes), plain, "{path}");
        let with_head = [format!("HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\n\r\n").as_bytes(), &bytes].concat();
        assert_eq!(decoded("http.bin", &with_head), plain, "{path}");
        let cut = site.path("cut.bin");
        std::fs::write(&cut, &bytes[..bytes.len() - 20]).unwrap();
        let told = site.run(&["decode", "cut.bin", "--wsdl", "orders.wsdl", "--operation", "GetDocument"]);
        assert_eq!(told.status.code(), Some(2), "{told:?}");
    }
    // By its address alone, of a service that no configuration names.
    let url = server.url("/soap11?wsdl");
    let shown = String::from_utf8(site.run(&["inspect", &url]).stdout).unwrap();
    assert!(shown.contains("GetOrder ") && shown.contains("ListOrders "), "{shown}");
    let by_url = site.run(&["infer", "--wsdl", &url, "--operation", "GetOrder", "--backend", "erp"]);
    assert_eq!(String::from_utf8(by_url.stdout).unwrap().trim(), order.trim());
    let gone = site.run(&["inspect", &server.url("/nowhere?wsdl=")]);
    let moved = site.run(&["inspect", "http://127.0.0.1:1/x?wsdl"]);
    assert!(gone.status.success() || gone.status.code() == Some(2), "{gone:?}");
    let told = String::from_utf8_lossy(&moved.stderr).into_owned();
    assert!(moved.status.code() == Some(2) && told.contains("cannot be reached"), "{told}");
    let doctor = String::from_utf8(site.run(&["doctor", "erp"]).stdout).unwrap();
    assert!(doctor.contains("wsdl"), "{doctor}");
}
