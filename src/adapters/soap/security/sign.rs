//! Signing parts of a message (XML Signature, as WSS X.509 Token Profile 1.0 wants it).

use aws_lc_rs::digest::SHA256 as SHA_256;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::ids::{canonical, digest, ids, parse};
use super::{DS, EXC_C14N, Identity, RSA_SHA256, SHA256, X509};

/// The end of a `Security` header that [`super::header`] has written.
const END: &str = "</wsse:Security>";

/// The message with a signature at the end of its first `Security` header, of the elements with these ids; the certificate
/// is in the header under the id `token`.
pub(super) fn signed(envelope: &str, identity: &Identity, parts: &[String], token: &str) -> Result<String, String> {
    let doc = parse(envelope).map_err(|error| format!("the envelope cannot be signed: {error}"))?;
    let known = ids(&doc)?;
    let mut info = format!(
        "<ds:SignedInfo xmlns:ds=\"{DS}\"><ds:CanonicalizationMethod Algorithm=\"{EXC_C14N}\"></ds:CanonicalizationMethod>\
         <ds:SignatureMethod Algorithm=\"{RSA_SHA256}\"></ds:SignatureMethod>"
    );
    for part in parts {
        let node = known.get(part).ok_or_else(|| format!("the envelope has no element with the id {part}"))?;
        let value = digest(&SHA_256, &canonical(&doc, *node, &[])?);
        info.push_str(&format!(
            "<ds:Reference URI=\"#{part}\"><ds:Transforms><ds:Transform Algorithm=\"{EXC_C14N}\"></ds:Transform>\
             </ds:Transforms><ds:DigestMethod Algorithm=\"{SHA256}\"></ds:DigestMethod>\
             <ds:DigestValue>{value}</ds:DigestValue></ds:Reference>"
        ));
    }
    info.push_str("</ds:SignedInfo>");
    // It is written in its canonical form; what the library makes of it is what counts.
    let alone = parse(&info)?;
    let element = alone.document_element().ok_or("nothing to sign")?;
    let signature = STANDARD.encode(identity.sign(&canonical(&alone, element, &[])?)?);
    let end = envelope.find(END).ok_or("the envelope has no header to be signed in")?;
    Ok(format!(
        "{}<ds:Signature xmlns:ds=\"{DS}\">{info}<ds:SignatureValue>{signature}</ds:SignatureValue><ds:KeyInfo>\
         <wsse:SecurityTokenReference><wsse:Reference URI=\"#{token}\" ValueType=\"{X509}\"/>\
         </wsse:SecurityTokenReference></ds:KeyInfo></ds:Signature>{}",
        &envelope[..end],
        &envelope[end..]
    ))
}
