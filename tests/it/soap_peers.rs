//! The services of strangers that other tests call, held against a client that nobody here wrote either: zeep. What it
//! reads there is what the services were told to hold.

use std::process::Command;

use crate::support::soap::SoapServer;

/// What a Python program writes, which has zeep's client of the service as `client`.
fn zeep(wsdl: &str, endpoint: &str, binding: &str, program: &str) -> String {
    let program = format!(
        "import sys, zeep, decimal, logging\nD = decimal.Decimal\nlogging.disable(logging.CRITICAL)\n\
         client = zeep.Client(sys.argv[1], settings=zeep.Settings(strict=False, xsd_ignore_sequence_order=True))\n\
         service = client.create_service(sys.argv[3], sys.argv[2])\n{program}"
    );
    let ran = Command::new("/usr/bin/python3").args(["-c", &program, wsdl, endpoint, binding]).output().unwrap();
    let told = String::from_utf8_lossy(&ran.stdout).into_owned();
    assert!(ran.status.success(), "{told}\n{}", String::from_utf8_lossy(&ran.stderr));
    told
}

fn wsdl(name: &str) -> String {
    format!("{}/tests/it/support/soap/{name}/orders.wsdl", env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn spyne() {
    for path in ["soap11", "soap12"] {
        let server = SoapServer::spyne(&[]);
        let program = r#"
order = service.GetOrder(7)
assert (order.Number, order.Reference, order.Customer) == (7, 'REF-7', 'Müller & Söhne <7>'), order
assert (order.Amount, order.Paid, order.Tag, order.status) == (D('12345678901234574.8900'), False, ['t0'], 'open'), order
assert [(line.Sku, line.Quantity, line.Price) for line in order.Lines.Line] == [('A-007', 1, D('19.90'))]
assert service.GetOrder(5).Customer is None
page = service.ListOrders(20, 3)
assert (page.Total, page.Next, [o.Number for o in page.Order]) == (25, 23, [21, 22, 23]), page
assert service.ListOrders(23, 3).Next is None
first = service.CreateOrder('NEW-1', 'x', D('10.10'), {'Line': [{'Sku': 'S', 'Quantity': 2, 'Price': D('1.50')}]})
again = service.CreateOrder('NEW-1', 'x', D('10.10'), None)
assert first.Number == again.Number and again.Amount == D('10.10'), again
assert service.GetOrderByReference('NEW-1').Number == first.Number
try:
    service.GetOrder(999)
    raise AssertionError('found')
except zeep.exceptions.Fault as fault:
    assert fault.message == 'There is no order 999', fault
print('read')
"#;
        let wsdl = format!("{}?wsdl", server.url(path));
        assert_eq!(zeep(&wsdl, &server.url(path), "{urn:tollbridge:orders}Orders", program), "read\n");
        assert_eq!((server.count("created"), server.count("at_work")), (1, 0));
    }
}

#[test]
fn node() {
    let server = SoapServer::node();
    for (path, binding) in [("orders", "NodeOrders11"), ("orders12", "NodeOrders12")] {
        let program = r#"
order = service.GetOrder(7)
assert (order.Number, order.Reference, order.Customer) == (7, 'REF-7', 'Müller & Söhne <7>'), order
assert (order.Amount, order.Paid, order.Tag, order.status) == (D('12345678901234567.07'), False, ['t0'], 'open'), order
page = service.ListOrders(Limit=20)
assert (len(page.Order), page.Cursor) == (20, 'MjA='), page
assert len(service.ListOrders(page.Cursor, 20).Order) >= 5
first = service.CreateOrder('NEW-1', 'x', D('10.10'), [{'Sku': 'S', 'Quantity': 2, 'Price': D('1.50')}])
again = service.CreateOrder('NEW-1', 'x', D('10.10'))
assert first.Number == again.Number and again.WasThere, again
try:
    service.GetOrder(999)
    raise AssertionError('found')
except zeep.exceptions.Fault as fault:
    assert fault.message == 'There is no order 999', fault
service.Notify('hello')
print('read')
"#;
        let binding = format!("{{urn:tollbridge:node}}{binding}");
        assert_eq!(zeep(&wsdl("node"), &server.url(path), &binding, program), "read\n");
    }
    assert_eq!((server.count("created"), server.count("notified")), (1, 2));
}

/// zeep does not read arrays of SOAP's encoding without fetching their schema; PHP's own client does.
#[test]
fn php() {
    let server = SoapServer::php();
    let program = r#"
$client = new SoapClient($argv[1], ['location' => $argv[2], 'cache_wsdl' => WSDL_CACHE_NONE, 'features' => 1]);
$told = [$client->getOrder(4), $client->getOrder(5)->customer];
$told[] = array_map(fn ($order) => $order->number, $client->listOrders(10, 5));
$told[] = $client->createOrder('N', null, '10.10', []);
$told[] = $client->createOrder('N', null, '10.10', []);
$told[] = $client->findByReference('N')->amount;
$told[] = array_map(fn ($order) => $order->reference, $client->twins());
try {
    $client->getOrder(99);
} catch (SoapFault $fault) {
    $told[] = $fault->faultstring;
}
echo json_encode($told, JSON_UNESCAPED_UNICODE | JSON_UNESCAPED_SLASHES);
"#;
    let ran = Command::new("php").args(["-r", program, "--", &wsdl("php"), &server.url("plain")]).output().unwrap();
    let told = String::from_utf8_lossy(&ran.stdout).into_owned();
    assert!(ran.status.success(), "{told}\n{}", String::from_utf8_lossy(&ran.stderr));
    let expected = r#"[{"number":4,"reference":"REF-4","customer":"Müller & Söhne <4>","amount":"12345678901234567.84","paid":true,"lines":[{"sku":"A-4-1","quantity":1}]},null,[11,12],13,13,"10.10",["REF-1","REF-1"],"There is no order 99"]"#;
    assert_eq!(told, expected);
}
