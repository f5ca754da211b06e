//! Every option of `decode`, each on a file of a few bytes made by hand: what it changes is seen in the result.
//!
//! An option that `decode --help` names and no line here uses is a fault of this test.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;

/// A command line (blanks part its words), what it prints, and the codes of what it rejects.
type Case = (&'static str, &'static str, &'static str);

const SERVICE: &[u8] = br#"<w:definitions xmlns:w="http://schemas.xmlsoap.org/wsdl/" xmlns:s="http://schemas.xmlsoap.org/wsdl/soap/"
 xmlns:x="http://www.w3.org/2001/XMLSchema" xmlns:t="urn:t" targetNamespace="urn:t">
 <w:types><x:schema targetNamespace="urn:t" elementFormDefault="qualified">
  <x:element name="Get"><x:complexType/></x:element><x:element name="Pick"><x:complexType/></x:element>
  <x:element name="GetResponse"><x:complexType><x:sequence><x:element name="Total" type="x:int"/>
   <x:element name="Lines"><x:complexType><x:sequence><x:element name="Line" type="t:Line" minOccurs="0" maxOccurs="unbounded"/></x:sequence></x:complexType></x:element></x:sequence></x:complexType></x:element>
  <x:complexType name="Line"><x:sequence><x:element name="Sku" type="x:string"/><x:element name="Price" type="x:decimal"/></x:sequence></x:complexType>
  <x:element name="PickResponse"><x:complexType><x:choice maxOccurs="unbounded"><x:element name="a" type="x:int"/><x:element name="b" type="x:string"/></x:choice></x:complexType></x:element>
 </x:schema></w:types>
 <w:message name="GetIn"><w:part name="p" element="t:Get"/></w:message><w:message name="GetOut"><w:part name="p" element="t:GetResponse"/></w:message>
 <w:message name="PickIn"><w:part name="p" element="t:Pick"/></w:message><w:message name="PickOut"><w:part name="p" element="t:PickResponse"/></w:message>
 <w:portType name="T"><w:operation name="Get"><w:input message="t:GetIn"/><w:output message="t:GetOut"/></w:operation>
  <w:operation name="Pick"><w:input message="t:PickIn"/><w:output message="t:PickOut"/></w:operation></w:portType>
 <w:binding name="B" type="t:T"><s:binding transport="http://schemas.xmlsoap.org/soap/http"/>
  <w:operation name="Get"><s:operation soapAction=""/><w:input><s:body use="literal"/></w:input><w:output><s:body use="literal"/></w:output></w:operation>
  <w:operation name="Pick"><s:operation soapAction=""/><w:input><s:body use="literal"/></w:input><w:output><s:body use="literal"/></w:output></w:operation></w:binding>
 <w:service name="S"><w:port name="P" binding="t:B"><s:address location="http://x/"/></w:port></w:service></w:definitions>"#;

const TEXTS: &[(&str, &[u8])] = &[
    ("s.wsdl", SERVICE),
    ("s.xml", b"<e:Envelope xmlns:e='http://schemas.xmlsoap.org/soap/envelope/'><e:Body><GetResponse xmlns='urn:t'><Total>2</Total>\
      <Lines><Line><Sku>A</Sku><Price>1.50</Price></Line><Line><Sku>B</Sku><Price>2</Price><New>x</New></Line></Lines></GetResponse></e:Body></e:Envelope>"),
    ("c.xml", b"<e:Envelope xmlns:e='http://schemas.xmlsoap.org/soap/envelope/'><e:Body><PickResponse xmlns='urn:t'><a>1</a><b>x</b><a>2</a></PickResponse></e:Body></e:Envelope>"),
    ("fault.xml", b"<e:Envelope xmlns:e='http://schemas.xmlsoap.org/soap/envelope/'><e:Body><e:Fault><faultcode>e:Server</faultcode><faultstring>down</faultstring></e:Fault></e:Body></e:Envelope>"),
    ("a.cpy", b"01 R.\n 05 A PIC X(3).\n 05 FILLER PIC X(2).\n 05 N PIC 9(2).\n"),
    ("a.bin", b"\xC1\x40\x40\xF0\xF1\xF4\xF2"),
    ("a.txt", b"A  0142"),
    ("latin.bin", b"\xE4  0142"),
    ("blank.txt", b"A  01  "),
    ("trim.txt", b" A 0142"),
    ("lines.txt", b"A  0142\r\nB  0143\n"),
    ("head.bin", b"HHHH....A  0142!!....B  0143!!FFF"),
    ("l.cpy", b"01 R.\n 05 L PIC 9(2).\n 05 T PIC X(4).\n"),
    ("l.bin", b"06abcd06wxyz"),
    ("ladj.bin", b"04abcd04wxyz"),
    ("be.bin", b"\x00\x06\x00\x0006abcd\x00\x06\x00\x0006wxyz"),
    ("self.bin", b"\x00\x0A\x00\x0006abcd\x00\x0A\x00\x0006wxyz"),
    // The length stands in the last two bytes, as Cobrix and its files have it.
    ("le.bin", b"\x00\x00\x06\x0006abcd\x00\x00\x06\x0006wxyz"),
    // A block with two records, both words counting themselves, and then the block's word counting only what follows.
    ("bdw.bin", b"\x00\x18\x00\x00\x00\x0A\x00\x0006abcd\x00\x0A\x00\x0006wxyz"),
    ("bdw14.bin", b"\x00\x14\x00\x00\x00\x0A\x00\x0006abcd\x00\x0A\x00\x0006wxyz"),
    // The second record goes on in the next block.
    (
        "vbs.bin",
        b"\x00\x14\x00\x00\x00\x0A\x00\x0006abcd\x00\x06\x01\x0006\x00\x0C\x00\x00\x00\x08\x02\x00wxyz",
    ),
    ("d.cpy", b"01 R.\n>>IF REGION = 'EU'\n 05 A PIC X(3).\n>>ELSE\n 05 B PIC X(3).\n>>END-IF\n"),
    ("d.bin", b"abc"),
    ("framed.bin", b"#\x00\x06;06abcd#\x00\x06;06wxyz"),
    ("o.cpy", b"01 R.\n 05 C PIC X.\n 05 T PIC X OCCURS 0 TO 3 DEPENDING ON C.\n 05 Z PIC X.\n"),
    ("o.bin", b"Babz" /* B: two of them */),
    ("ofix.bin", b"Bab.z"),
    ("f.cpy", b"01 R.\n 05 F COMP-1.\n 05 D COMP-2.\n"),
    ("ibm.bin", b"\x41\x10\x00\x00\xC1\x18\x00\x00\x00\x00\x00\x00"),
    ("ieee.bin", b"\x3F\x80\x00\x00\xBF\xF8\x00\x00\x00\x00\x00\x00"),
    ("ieee-le.bin", b"\x00\x00\x80\x3F\x00\x00\x00\x00\x00\x00\xF8\xBF"),
    ("n5.cpy", b"01 R.\n 05 N PIC 9(4) COMP-5.\n"),
    ("n5.bin", b"\x01\x02"),
    ("small.cpy", b"01 R.\n 05 N PIC 9(2) COMP.\n"),
    ("small.bin", b"\xC8"),
    ("p.cpy", b"01 R.\n 05 P POINTER.\n"),
    ("p.bin", b"\x00\x00\x00\x00\x00\x00\x00\x07"),
    ("s.cpy", b"01 R.\n 05 N PIC S9(2).\n"),
    ("mf.bin", b"1q" /* q: -1 */),
    ("translated.bin", b"1J" /* J: -1 */),
    ("e.cpy", b"01 R.\n 05 N PIC ZZ9,9.\n"),
    ("e.bin", b" 12,5"),
    ("eur.cpy", b"01 R.\n 05 N PIC ##9.\n"),
    ("eur.bin", b" #7"),
    ("v.cpy", b"01 R.\n 05 K PIC X.\n 05 T PIC X(2).\n 05 N REDEFINES T PIC 9(2).\n"),
    ("v.bin", b"T12N12"),
    ("free.cpy", b"01 R. 05 A PIC X(3). 05 FILLER PIC X(2). 05 N PIC 9(2).\n"),
    ("two.cpy", b"01 H.\n 05 K PIC X.\n 05 N PIC 9.\n01 D.\n 05 K PIC X.\n 05 T PIC X.\n"),
    ("two.bin", b"H1DaDbH2X?"),
    ("c.csv", b"no;name\n1;\xFC\n"),
    ("quote.csv", b"no,name\n1,'a,b'\n"),
    ("escape.csv", b"no,name\n1,a\\,b\n"),
    ("bare.csv", b"1,a\n"),
    ("cr.csv", b"no\r1\r2\r"),
    ("comment.csv", b"no\n#x\n1\n"),
    ("rows.csv", b"a,b\nc,d\n1,2\n"),
    ("again.csv", b"no\n1\nno\n2\n"),
    ("around.csv", b"list\nno\n1\nend\n"),
    ("ragged.csv", b"a,b\n1\n1,2,3\n"),
    ("nul.csv", b"a\nx\0y\n"),
    ("gaps.txt", b"1 2\n\n3 4\n\n"),
    ("s.spec", b"a,1,2\nb,3,2\n"),
    ("s.txt", b"HEAD\n1 2 \n3\n"),
    ("packed.spec", b"a,1,1\nb,2,2,packed,1\n"),
    ("packed.bin", b"x\x12\x3Dy\x45\x6C"),
    ("x.xml", b"<f n='7' xmlns:p='urn:p'><o><no>1</no><p:l> x </p:l></o><q/></f>"),
    ("x12.edi", b"ISA*00*          *00*          *ZZ*A              *ZZ*B              *261105*1200*U*00401*000000001*0*P*>~\
GS*PO*A*B*20261105*1200*1*X*004010~ST*850*0001~BEG*00*SA*77~SE*3*0001~GE*1*1~IEA*1*000000001~"),
    ("x12.toml", b"standard = \"x12\"\nmessage = \"850\"\n[segments.BEG]\nelements = [{ name = \"purpose\" }, { name = \"kind\" }, { name = \"number\" }]\n\
[[structure]]\nsegment = \"BEG\"\n"),
];

const CASES: &[Case] = &[
    // The layout and its code page.
    ("a.bin --format cobol --copybook a.cpy", r#"{"A":"A","N":42}"#, ""),
    ("latin.bin --copybook a.cpy --encoding windows-1252", "{\"A\":\"\u{e4}\",\"N\":42}", ""),
    ("a.bin --copybook free.cpy --source-format free", r#"{"A":"A","N":42}"#, ""),
    ("a.txt --copybook a.cpy --encoding ascii --fillers keep", r#"{"A":"A","FILLER_1":"01","N":42}"#, ""),
    ("a.txt --copybook a.cpy --encoding ascii --fillers drop", r#"{"A":"A","N":42}"#, ""),
    ("trim.txt --copybook a.cpy --encoding ascii --trim both", r#"{"A":"A","N":42}"#, ""),
    ("trim.txt --copybook a.cpy --encoding ascii --trim left", r#"{"A":"A ","N":42}"#, ""),
    ("trim.txt --copybook a.cpy --encoding ascii --trim right", r#"{"A":" A","N":42}"#, ""),
    ("trim.txt --copybook a.cpy --encoding ascii --trim none", r#"{"A":" A ","N":42}"#, ""),
    ("blank.txt --copybook a.cpy --encoding ascii --blank null", r#"{"A":"A","N":null}"#, ""),
    ("blank.txt --copybook a.cpy --encoding ascii --blank zero", r#"{"A":"A","N":0}"#, ""),
    ("blank.txt --copybook a.cpy --encoding ascii --blank reject", "", "value.blank"),
    (
        "a.bin --copybook a.cpy --meta --hex",
        r#"{"_offset":0,"_length":7,"_record":1,"A":"A","A_hex":"C14040","N":42,"N_hex":"F4F2"}"#,
        "",
    ),
    // Framing.
    ("l.bin --copybook l.cpy --encoding ascii --framing fixed", FRAMED, ""),
    ("lines.txt --copybook a.cpy --encoding ascii --framing line", LINES, ""),
    ("be.bin --copybook l.cpy --encoding ascii --framing rdw-be", FRAMED, ""),
    ("le.bin --copybook l.cpy --encoding ascii --framing rdw-le", FRAMED, ""),
    ("self.bin --copybook l.cpy --encoding ascii --framing rdw-be --rdw-adjust -4", FRAMED, ""),
    ("self.bin --copybook l.cpy --encoding ascii --framing rdw-be --rdw-adjust 0", "", "framing.*"),
    ("bdw.bin --copybook l.cpy --encoding ascii --framing bdw", FRAMED, ""),
    ("bdw14.bin --copybook l.cpy --encoding ascii --framing bdw --bdw-adjust 0 --rdw-adjust -4", FRAMED, ""),
    ("l.bin --copybook l.cpy --encoding ascii --framing length-field --length-field L", FRAMED, ""),
    (
        "ladj.bin --copybook l.cpy --encoding ascii --framing length-field --length-field L --length-adjust 2",
        r#"{"L":4,"T":"abcd"} {"L":4,"T":"wxyz"}"#,
        "",
    ),
    ("framed.bin --copybook l.cpy --encoding ascii --framing header --frame-header 4:1:2:big", FRAMED, ""),
    ("be.bin --copybook l.cpy --encoding ascii --framing auto", FRAMED, "note"),
    (
        "head.bin --copybook a.cpy --encoding ascii --header-bytes 4 --footer-bytes 3 --record-prefix 4 --record-suffix 2",
        LINES,
        "",
    ),
    ("l.bin --copybook l.cpy --encoding ascii --threads 2", FRAMED, ""),
    // Tables of varying length.
    (
        "o.bin --copybook o.cpy --encoding ascii --framing odo --odo variable --odo-map C:A=1,B=2",
        r#"{"C":"B","T":["a","b"],"Z":"z"}"#,
        "",
    ),
    (
        "ofix.bin --copybook o.cpy --encoding ascii --odo fixed --odo-map C:A=1,B=2",
        r#"{"C":"B","T":["a","b"],"Z":"z"}"#,
        "",
    ),
    // Forms of numbers.
    ("ibm.bin --copybook f.cpy --float ibm", r#"{"F":1.0,"D":-1.5}"#, ""),
    ("ieee.bin --copybook f.cpy --float ieee", r#"{"F":1.0,"D":-1.5}"#, ""),
    ("ieee-le.bin --copybook f.cpy --float ieee-le", r#"{"F":1.0,"D":-1.5}"#, ""),
    ("n5.bin --copybook n5.cpy --comp5 big", r#"{"N":258}"#, ""),
    ("n5.bin --copybook n5.cpy --comp5 little", r#"{"N":513}"#, ""),
    ("n5.bin --copybook n5.cpy --dialect gnu", r#"{"N":513}"#, ""),
    ("small.bin --copybook small.cpy --binary-size 1-2-4-8 --binary-range full", r#"{"N":200}"#, ""),
    ("small.bin --copybook small.cpy --binary-size 1-2-4-8 --binary-range picture", "", "numeric.overflow"),
    ("p.bin --copybook p.cpy --pointer 8", r#"{"P":7}"#, ""),
    ("p.bin --copybook p.cpy --pointer 4", r#"{"P":0} {"P":7}"#, ""),
    ("mf.bin --copybook s.cpy --encoding ascii --sign mf", r#"{"N":-11}"#, ""),
    ("translated.bin --copybook s.cpy --encoding ascii --sign translated", r#"{"N":-11}"#, ""),
    ("e.bin --copybook e.cpy --encoding ascii --decimal-comma", r#"{"N":12.5}"#, ""),
    ("e.bin --copybook e.cpy --encoding ascii --decimal-comma --edited text", r#"{"N":"12,5"}"#, ""),
    ("eur.bin --copybook eur.cpy --encoding ascii --currency #", r#"{"N":7}"#, ""),
    ("v.bin --copybook v.cpy --encoding ascii --view N:K=N --view T:K=T", r#"{"K":"T","T":"12"} {"K":"N","N":12}"#, ""),
    // Several record types.
    ("two.bin --copybook two.cpy --encoding ascii --record D", TWO_AS_TEXT, ""),
    (
        "two.bin --copybook two.cpy --encoding ascii --segment-field K --segment-map H=H --segment-map D=D",
        r#"{"K":"H","N":1} {"K":"D","T":"a"} {"K":"D","T":"b"} {"K":"H","N":2}"#,
        "structure.unknown_type",
    ),
    (
        "two.bin --copybook two.cpy --encoding ascii --segment-field 0:1 --segment-map H=H --segment-map D=D \
         --segment-children H=D --segment-unknown skip",
        r#"{"K":"H","N":1,"D":[{"K":"D","T":"a"},{"K":"D","T":"b"}]} {"K":"H","N":2,"D":[]}"#,
        "note",
    ),
    (
        "two.bin --copybook two.cpy --encoding ascii --segment-field K --segment-map H=H --segment-map D=D \
         --segment-unknown skip --filter K=H",
        r#"{"K":"H","N":1} {"K":"H","N":2}"#,
        "note",
    ),
    ("d.bin --copybook d.cpy --encoding ascii --define REGION=EU", r#"{"A":"abc"}"#, ""),
    ("d.bin --copybook d.cpy --encoding ascii --define REGION=US", r#"{"B":"abc"}"#, ""),
    ("vbs.bin --copybook l.cpy --encoding ascii --framing vbs", FRAMED, ""),
    ("vbs.bin --copybook l.cpy --encoding ascii --framing auto", FRAMED, "note"),
    // Delimited text.
    ("c.csv --format csv --delimiter ; --encoding windows-1252", "{\"no\":\"1\",\"name\":\"\u{fc}\"}", ""),
    ("quote.csv --format csv --quote '", r#"{"no":"1","name":"a,b"}"#, ""),
    ("escape.csv --format csv --escape \\", r#"{"no":"1","name":"a,b"}"#, ""),
    ("bare.csv --format csv --no-header", r#"{"column_1":"1","column_2":"a"}"#, ""),
    ("bare.csv --format csv --no-header --columns no,name", r#"{"no":"1","name":"a"}"#, ""),
    ("cr.csv --format csv --line-end cr", r#"{"no":"1"} {"no":"2"}"#, ""),
    ("comment.csv --format csv --comment #", r#"{"no":"1"}"#, "note"),
    ("rows.csv --format csv --header-rows 2", r#"{"a c":"1","b d":"2"}"#, ""),
    ("rows.csv --format csv --columns a,b --header-match identical", r#"{"a":"c","b":"d"} {"a":"1","b":"2"}"#, ""),
    ("again.csv --format csv --repeated-header skip", r#"{"no":"1"} {"no":"2"}"#, "note"),
    ("around.csv --format csv --preamble-lines 1 --footer-lines 1", r#"{"no":"1"}"#, ""),
    ("ragged.csv --format csv --ragged pad", r#"{"a":"1","b":null}"#, "framing.column_count"),
    ("ragged.csv --format csv --ragged truncate", r#"{"a":"1","b":null} {"a":"1","b":"2"}"#, ""),
    ("nul.csv --format csv --nul strip", r#"{"a":"xy"}"#, ""),
    ("nul.csv --format csv --nul replace", r#"{"a":"x y"}"#, ""),
    // Fixed columns.
    ("s.txt --spec s.spec --header-lines 1 --pad", r#"{"a":"1","b":"2"} {"a":"3","b":""}"#, ""),
    ("gaps.txt --spec s.spec --pad", r#"{"a":"1","b":"2"} {"a":"","b":""} {"a":"3","b":"4"}"#, ""),
    ("gaps.txt --spec s.spec --pad --blank-lines skip", r#"{"a":"1","b":"2"} {"a":"3","b":"4"}"#, "note"),
    ("packed.bin --spec packed.spec --record-length 3", r#"{"a":"x","b":-12.3} {"a":"y","b":45.6}"#, ""),
    // XML, EDI.
    ("x.xml --format xml --record-path /f/o", r#"{"no":"1","l":"x"}"#, ""),
    (
        "x.xml --format xml --record-path /f/o --array no --parent /f/@n --trim none",
        r#"{"/f/@n":"7","no":["1"],"l":" x "}"#,
        "",
    ),
    ("x.xml --format xml --record-path /f/o/q:l --namespace q=urn:p", "{\"#text\":\"x\"}", ""),
    ("x12.edi --format edi --schema x12.toml", "number\":\"77", ""),
    // SOAP.
    (
        "s.xml --format soap --wsdl s.wsdl --operation Get",
        r#"{"Total":2,"Lines":{"Line":[{"Sku":"A","Price":1.50},{"Sku":"B","Price":2}]}}"#,
        "note",
    ),
    (
        "s.xml --wsdl s.wsdl --operation Get --port P --numbers text --unwrap-lists --extra",
        r#"{"Total":2,"Lines":[{"Sku":"A","Price":"1.50"},{"Sku":"B","Price":"2","_extra":[{"New":"x"}]}]}"#,
        "note",
    ),
    (
        "s.xml --wsdl s.wsdl --operation Get --record-path /GetResponse/Lines/Line --strict",
        r#"{"Sku":"A","Price":1.50}"#,
        "structure.unexpected",
    ),
    (
        "s.xml --wsdl s.wsdl --operation Get --record-path t:Lines/t:Line --namespace t=urn:t --meta",
        "\"_length\":44,\"_record\":1",
        "note",
    ),
    ("c.xml --wsdl s.wsdl --operation Pick --choice", r#"{"a":[1,2],"b":["x"],"_choice":["a","b","a"]}"#, ""),
    ("fault.xml --wsdl s.wsdl --operation Get", "", "service.fault"),
];

const FRAMED: &str = r#"{"L":6,"T":"abcd"} {"L":6,"T":"wxyz"}"#;
const LINES: &str = r#"{"A":"A","N":42} {"A":"B","N":43}"#;
const TWO_AS_TEXT: &str =
    r#"{"K":"H","T":"1"} {"K":"D","T":"a"} {"K":"D","T":"b"} {"K":"H","T":"2"} {"K":"X","T":"?"}"#;

/// Options that have tests of their own, with packed files, workbooks and IDocs.
const ELSEWHERE: &[(&str, &str)] = &[
    ("--compression", "containers.rs"),
    ("--member", "containers.rs"),
    ("--max-unpacked-mib", "containers.rs"),
    ("--max-unpack-ratio", "containers.rs"),
    ("--sheet", "xml.rs"),
    ("--max-mib", "workbooks.rs"),
    ("--range", "xml.rs"),
    ("--segments", "edi.rs"),
    ("--form", "encode.rs"),
];

fn codes(stderr: &str) -> String {
    let code = |line: &str| match serde_json::from_str::<serde_json::Value>(line) {
        Ok(reject) => reject["code"].as_str().unwrap_or_default().to_owned(),
        Err(_) => "note".to_owned(),
    };
    let codes: BTreeSet<String> = stderr.lines().map(code).collect();
    codes.into_iter().collect::<Vec<_>>().join(" ")
}

fn fits(pattern: &str, found: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(begin) => found.split(' ').all(|code| code.starts_with(begin)) && !found.is_empty(),
        None => pattern == found,
    }
}

#[test]
fn each_does_what_it_says() {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in TEXTS {
        std::fs::File::create(folder.path().join(name)).unwrap().write_all(content).unwrap();
    }
    let mut faults = String::new();
    for (line, expected, rejected) in CASES {
        let output = Command::new(env!("CARGO_BIN_EXE_tollbridge"))
            .current_dir(folder.path())
            .arg("decode")
            .args(line.split_whitespace())
            .output()
            .unwrap();
        let (stdout, stderr) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
        let told: Vec<&str> = stdout.lines().collect();
        let same = match expected.starts_with('{') || expected.is_empty() {
            true => told.join(" ") == *expected,
            false => stdout.contains(expected),
        };
        let exit = i32::from(!rejected.is_empty() && *rejected != "note");
        if !same || !fits(rejected, &codes(&stderr)) || output.status.code() != Some(exit) {
            let _ = writeln!(
                faults,
                "decode {line}\n  {}\n  not {expected}\n  {:?}\n  {stderr}",
                told.join(" "),
                output.status
            );
        }
    }
    assert!(faults.is_empty(), "{faults}");
}

#[test]
fn none_is_left_out() {
    let help = Command::new(env!("CARGO_BIN_EXE_tollbridge")).args(["decode", "--help"]).output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let options = help.lines().filter_map(|line| line.trim_start().strip_prefix("--"));
    let options: BTreeSet<String> =
        options.map(|rest| format!("--{}", rest.split_whitespace().next().unwrap_or_default())).collect();
    assert!(options.len() > 60, "{options:?}");
    let mut used: BTreeSet<String> = ["--config", "--json"].map(str::to_owned).into();
    used.extend(CASES.iter().flat_map(|(line, _, _)| line.split_whitespace()).map(str::to_owned));
    for (option, file) in ELSEWHERE {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it").join(file);
        assert!(std::fs::read_to_string(path).unwrap().contains(option), "{option} is not in {file}");
        used.insert((*option).to_owned());
    }
    let untested: Vec<_> = options.difference(&used).collect();
    assert!(untested.is_empty(), "no case for {untested:?}");
}
