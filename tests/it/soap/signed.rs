//! Signatures, held against xmlsec, by itself and through zeep: what we sign it verifies, what it signs we take, and what
//! was wrapped around what it has signed we do not.

use std::path::Path;
use std::process::Command;

use tollbridge::adapters::soap::{SoapError, Version};
use tollbridge::wsdl::Attached;

use super::peers::certificates;
use super::raw::{Raw, xml};
use super::{Door, request};

fn python(folder: &Path, program: &str) -> String {
    let ran = Command::new("/usr/bin/python3").current_dir(folder).args(["-c", program]).output().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    String::from_utf8(ran.stdout).unwrap()
}

#[tokio::test]
async fn what_we_sign_others_verify() {
    let folder = tempfile::tempdir().unwrap();
    certificates(folder.path());
    std::fs::write(folder.path().join("password"), "p").unwrap();
    let good = "<s:Envelope xmlns:s='http://schemas.xmlsoap.org/soap/envelope/'><s:Body/></s:Envelope>";
    let raw = Raw::saying(xml(good));
    let sign = "sign = { certificate = \"client.pem\", key = { file = \"client.key\" } }";
    let path = folder.path().to_owned();
    let lines = format!(
        "addressing = true\nwsse = {{ username = \"svc\", password = {{ file = \"password\" }}, timestamp = \"5m\", {sign} }}"
    );
    let door = Door::in_folder(folder, &raw.url(), &lines, 4);
    // Blanks, references, a comment, prefixes of the envelope, CDATA: what canonical forms are about.
    let body = "<q a='1' b = \"2\"  xmlns:x='urn:x'> \u{e4}&amp;&#65;<!-- c --><x:y><![CDATA[<z>]]></x:y>\r\n</q >";
    door.ask(&request(Version::V11, "urn:op", body)).await;
    door.ask(&request(Version::V12, "urn:op", body)).await;
    for (number, sent) in raw.requests().iter().enumerate() {
        std::fs::write(path.join(format!("sent{number}.xml")), sent.split_once("\r\n\r\n").unwrap().1).unwrap();
    }
    let verify = r#"
from lxml import etree
import xmlsec
from zeep.wsse.signature import verify_envelope
DS = '{http://www.w3.org/2000/09/xmldsig#}'
for name in ('sent0.xml', 'sent1.xml'):
    envelope = etree.parse(name).getroot()
    verify_envelope(envelope, 'client.pem')
    print(len(envelope.findall('.//' + DS + 'Reference')), end=' ')
    body = envelope[-1]
    body[0].set('a', '2')
    try:
        verify_envelope(envelope, 'client.pem')
        print('a changed body is taken')
    except Exception as error:
        print(type(error).__name__)
"#;
    // Body, Timestamp, and the four headers of addressing.
    assert_eq!(python(&path, verify), "6 SignatureVerificationFailed\n6 SignatureVerificationFailed\n");
}

/// A signed call that goes as an XOP package has its bytes within its envelope: what is signed is what is there.
#[tokio::test]
async fn a_signed_package_has_its_bytes_within() {
    let folder = tempfile::tempdir().unwrap();
    certificates(folder.path());
    let good = "<s:Envelope xmlns:s='http://schemas.xmlsoap.org/soap/envelope/'><s:Body/></s:Envelope>";
    let raw = Raw::saying(xml(good));
    let path = folder.path().to_owned();
    let lines =
        "wsse = { timestamp = \"5m\", sign = { certificate = \"client.pem\", key = { file = \"client.key\" } } }";
    let door = Door::in_folder(folder, &raw.url(), lines, 4);
    let include = "<xop:Include xmlns:xop='http://www.w3.org/2004/08/xop/include' href='cid:b1@tollbridge'/>";
    let mut question = request(Version::V11, "urn:op", &format!("<q xmlns='urn:q'><d>{include}</d></q>"));
    question.is_package = true;
    let attached = |id: Option<&str>, content_type: &str, bytes: &[u8]| Attached {
        part: "part".into(),
        id: id.map(Into::into),
        content_type: content_type.into(),
        bytes: bytes.to_vec(),
    };
    question.attachments = vec![
        attached(Some("b1@tollbridge"), "application/octet-stream", b"bytes"),
        attached(None, "image/png", b"png"),
    ];
    door.ask(&question).await;
    let sent = raw.requests().remove(0);
    std::fs::write(path.join("sent"), sent.split_once("\r\n").unwrap().1).unwrap();
    let verify = r#"
import email, email.policy
from lxml import etree
from zeep.wsse.signature import verify_envelope
message = email.message_from_bytes(open('sent', 'rb').read(), policy=email.policy.HTTP)
root, *others = message.iter_parts()
envelope = etree.fromstring(root.get_payload(decode=True))
verify_envelope(envelope, 'client.pem')
print(message.get_param('type'), root.get_content_type(), envelope.findtext('.//{urn:q}d'))
print([(part.get_content_type(), part.get_payload(decode=True)) for part in others])
"#;
    let expected = "application/xop+xml application/xop+xml Ynl0ZXM=\n[('image/png', b'png')]\n";
    assert_eq!(python(&path, verify), expected);
}

/// Answers that zeep has signed, good ones and such as an attacker makes of them, into files.
const ANSWERS: &str = r#"
import copy, datetime
from lxml import etree
import xmlsec
from zeep.wsse.signature import sign_envelope
S = 'http://schemas.xmlsoap.org/soap/envelope/'
WSSE = 'http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd'
WSU = 'http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd'
DS = 'http://www.w3.org/2000/09/xmldsig#'
ID = '{%s}Id' % WSU

def answer(key='server', at=0, good_for=300, timed=True, method=xmlsec.Transform.RSA_SHA256, digest=xmlsec.Transform.SHA256):
    now = datetime.datetime.utcnow() + datetime.timedelta(seconds=at)
    time = lambda when: when.strftime('%Y-%m-%dT%H:%M:%SZ')
    stamp = '<u:Timestamp xmlns:u="%s"><u:Created>%s</u:Created><u:Expires>%s</u:Expires></u:Timestamp>' % (
        WSU, time(now), time(now + datetime.timedelta(seconds=good_for)))
    envelope = etree.fromstring(
        '<e:Envelope xmlns:e="%s" xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns="urn:default"><e:Header>'
        '<w:Security xmlns:w="%s">%s</w:Security></e:Header><e:Body><o:r xmlns:o="urn:o" xmlns:i="urn:i" i:type="xs:int">'
        '<amount xmlns="">100 &amp; \u00e4</amount></o:r></e:Body></e:Envelope>' % (S, WSSE, stamp if timed else ''))
    sign_envelope(envelope, key + '.key', key + '.pem', signature_method=method, digest_method=digest)
    # lxml does not find by name what xmlsec has made, until it is read.
    return etree.fromstring(etree.tostring(envelope))

def write(name, envelope):
    open(name + '.xml', 'wb').write(etree.tostring(envelope))

def parts(envelope):
    header, body = envelope.find('{%s}Header' % S), envelope.find('{%s}Body' % S)
    return header, header.find('{%s}Security' % WSSE), body

def evil(body, id):
    made = copy.deepcopy(body)
    made.set(ID, id)
    made[0][0].text = '999999'
    return made

write('good', answer())
write('late', answer(at=-4000))
write('future', answer(at=4000))
write('untimed', answer(timed=False))
write('other-key', answer('client'))
write('sha1', answer(method=xmlsec.Transform.RSA_SHA1, digest=xmlsec.Transform.SHA1))

e = answer(); parts(e)[2][0][0].text = '999999'; write('changed', e)
e = answer(); parts(e)[1].remove(parts(e)[1].find('{%s}Signature' % DS)); write('unsigned', e)

# The signed body is hidden in the header, another takes its place.
e = answer(); header, security, body = parts(e)
e.replace(body, evil(body, 'other')); etree.SubElement(header, 'Wrapper').append(body); write('x01', e)
# ... in the security header.
e = answer(); header, security, body = parts(e)
e.replace(body, evil(body, 'other')); etree.SubElement(security, 'Wrapper').append(body); write('x02', e)
# ... in the signature.
e = answer(); header, security, body = parts(e)
e.replace(body, evil(body, 'other'))
etree.SubElement(security.find('{%s}Signature' % DS), '{%s}Object' % DS).append(body); write('x03', e)
# ... and both have the same id.
e = answer(); header, security, body = parts(e)
e.replace(body, evil(body, body.get(ID))); etree.SubElement(header, 'Wrapper').append(body); write('x04', e)
# Two bodies: the first, or the second.
for name, at in (('x05', 0), ('x06', 1)):
    e = answer(); body = parts(e)[2]; e.insert(e.index(body) + at, evil(body, 'other')); write(name, e)
# Two headers, two security headers, two signatures.
e = answer(); e.insert(1, copy.deepcopy(parts(e)[0])); write('x07', e)
e = answer(); header, security, body = parts(e); header.append(etree.Element('{%s}Security' % WSSE)); write('x08', e)
e = answer(); s = parts(e)[1]; s.append(copy.deepcopy(s.find('{%s}Signature' % DS))); write('x09', e)
# The signature is elsewhere.
e = answer(); header, security, body = parts(e); header.append(security.find('{%s}Signature' % DS)); write('x10', e)
# An id of another kind points at another element.
e = answer(); header, security, body = parts(e); w = etree.SubElement(header, 'W'); w.set('ID', body.get(ID)); write('x11', e)
# The time is another than the signed one.
e = answer(); header, security, body = parts(e)
stamp = security.find('{%s}Timestamp' % WSU); new = copy.deepcopy(stamp); new.set(ID, 'new')
security.replace(stamp, new); etree.SubElement(header, 'W').append(stamp); write('x12', e)
# A DOCTYPE.
good = etree.tostring(answer()).decode()
open('x13.xml', 'w').write('<!DOCTYPE e:Envelope [<!ENTITY a "b">]>' + good)
# The reference is to the whole document, or to nothing.
e = answer(); r = e.findall('.//{%s}Reference' % DS)[0]; r.set('URI', ''); write('x14', e)
# A transform more.
e = answer(); t = e.findall('.//{%s}Transforms' % DS)[0]; t.append(copy.deepcopy(t[0])); write('x15', e)
"#;

#[tokio::test]
async fn what_others_sign_is_taken_and_what_is_wrapped_around_it_is_not() {
    let folder = tempfile::tempdir().unwrap();
    certificates(folder.path());
    let path = folder.path().to_owned();
    python(&path, ANSWERS);
    let verified = |name: &str, more: &str| {
        let answer = std::fs::read_to_string(path.join(format!("{name}.xml"))).unwrap();
        let lines =
            format!("wsse = {{ verify = {{ certificate = \"{}\"{more} }} }}", path.join("server.pem").display());
        async move {
            let raw = Raw::saying(xml(&answer));
            let door = Door::to(&raw.url(), &lines);
            let called = door.call(&request(Version::V11, "urn:op", "<q/>")).await;
            match called {
                Ok(answer) => Ok(String::from_utf8(answer.envelope.to_vec()).unwrap()),
                Err(SoapError::Untrusted { reason }) => Err(reason),
                Err(error) => panic!("{error}"),
            }
        }
    };
    let good = verified("good", "").await.unwrap();
    // The body alone, as it was signed; prefixes that values use are still bound.
    assert!(good.starts_with("<tbsoap:Envelope xmlns:tbsoap=\"http://schemas.xmlsoap.org/soap/envelope/\""), "{good}");
    assert!(good.contains("xmlns:xs=\"http://www.w3.org/2001/XMLSchema\"") && !good.contains("urn:default"), "{good}");
    assert!(good.contains("<amount>100 &amp; \u{e4}</amount></o:r></e:Body></tbsoap:Envelope>"), "{good}");
    assert!(!good.contains("Header"), "{good}");

    for (name, words) in [
        ("late", "it was good until"),
        ("future", "still to come"),
        ("untimed", "no `Timestamp`"),
        ("other-key", "no certificate that is trusted has signed it"),
        ("sha1", "rsa-sha1"),
        ("changed", "is not what was signed"),
        ("unsigned", "no `Signature`"),
        ("x01", "its body is not signed"),
        ("x02", "its body is not signed"),
        ("x03", "its body is not signed"),
        ("x04", "two elements have the id"),
        ("x05", "more than one `Body`"),
        ("x06", "more than one `Body`"),
        ("x07", "more than one `Header`"),
        ("x08", "more than one `Security`"),
        ("x09", "more than one `Signature`"),
        ("x10", "no `Signature` where one belongs"),
        ("x11", "two elements have the id"),
        ("x12", "its time is not signed"),
        ("x14", "no certificate that is trusted has signed it"),
        ("x15", "no certificate that is trusted has signed it"),
    ] {
        let reason = verified(name, "").await.expect_err(name);
        assert!(reason.contains(words), "{name}: {reason}");
    }
    let answer = std::fs::read_to_string(path.join("x13.xml")).unwrap();
    let raw = Raw::saying(xml(&answer));
    let lines = format!("wsse = {{ verify = {{ certificate = \"{}\" }} }}", path.join("server.pem").display());
    assert!(Door::to(&raw.url(), &lines).call(&request(Version::V11, "urn:op", "<q/>")).await.is_err());
    // What may be left out when the settings say so.
    assert!(verified("untimed", ", timestamp = false").await.is_ok());
    assert!(verified("late", ", timestamp = false").await.is_ok());
    assert!(verified("sha1", ", sha1 = true").await.is_ok());
    assert!(verified("x01", ", timestamp = false, sha1 = true").await.is_err());
}
