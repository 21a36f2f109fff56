#pragma once

#include <string_view>

namespace spoke::bridge::test {

// Made by PyJWT 2.6 and Python's cryptography 38, not by the code under test. All three tokens say
// sub 7777, nbf 2026-11-22T18:00:00Z, exp 2026-11-22T20:00:00Z, iss https://issuer.example,
// aud ["spoke","other"], scope "openid command:unlock devices:read", dev ["b43","b42"].

inline constexpr std::string_view kSecret = "0123456789abcdef0123456789abcdef";

inline constexpr std::string_view kKeySet =
    R"({"keys":[{"kty":"RSA","kid":"r1","use":"sig","alg":"RS256","n":"p7zc-AcOumI7Wta5)"
    R"(Sd7FMUzqVzZGubhP96n3eIJtZ2LOeINFH84Qua09pWoPo6iMI97_WZgu2WQ-G5-GQLuGji0kBTjvl6Br)"
    R"(kt-p8DqdcJ1iYy3vYaO_Hlz3S4SOyUqA8oGInv9aWK9AWJyKbCNklE817QtihPH9Y0X6Jwn1zbFFw0xW)"
    R"(sGItHEZPAgB4xUkdUN5AQIGyPhuoBVN6Fso06b6bNA3_l75Hsc3A7EGE0Vlv7BTOfG4PCPCV8egS4UqW)"
    R"(QLsaGIzNbPGiBFT_oa23MjnSS4Btci_OsjhgHCNzUQqhVCFXezjWSQxFMKw9ximOAvG5cJ3H65bfgtIw)"
    R"(FlaHWQ","e":"AQAB"},{"kty":"EC","kid":"e1","crv":"P-256","x":"1ZJnClLxGu415zMSPJ)"
    R"(zRZGmhJwKNindN2VzUC_Xm_Pw","y":"HEfEPSNkB6BjwoUpJBDzvbBdxHwgdstK9ixowMu-MIE"},{")"
    R"(kty":"oct","kid":"h1","alg":"HS256","k":"MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmN)"
    R"(kZWY"},{"kty":"OKP","crv":"Ed25519","x":"AAAA"},{"kty":"RSA","use":"enc","n":"p7)"
    R"(zc-AcOumI7Wta5Sd7FMUzqVzZGubhP96n3eIJtZ2LOeINFH84Qua09pWoPo6iMI97_WZgu2WQ-G5-GQL)"
    R"(uGji0kBTjvl6Brkt-p8DqdcJ1iYy3vYaO_Hlz3S4SOyUqA8oGInv9aWK9AWJyKbCNklE817QtihPH9Y0)"
    R"(X6Jwn1zbFFw0xWsGItHEZPAgB4xUkdUN5AQIGyPhuoBVN6Fso06b6bNA3_l75Hsc3A7EGE0Vlv7BTOfG)"
    R"(4PCPCV8egS4UqWQLsaGIzNbPGiBFT_oa23MjnSS4Btci_OsjhgHCNzUQqhVCFXezjWSQxFMKw9ximOAv)"
    R"(G5cJ3H65bfgtIwFlaHWQ","e":"AQAB"}]})";

inline constexpr std::string_view kWeakKeySet =
    R"({"keys":[{"kty":"RSA","n":"vKZFU4PtYGUCrrnkaqEZFSIc425_OqKpcKSAr5zrANcg0SmSU9Cwm)"
    R"(hn6CaLmPelGrUs6xpPLQGw6wnB47VZh82Cdmr92ggzOo0audAJP0SVwfpfL2rjjNuf5oBJHjWQbVi2he)"
    R"(E46du5GmMu2lt3vwBC_3HNw_xfRfLKxaIjDXpU","e":"AQAB"}]})";

inline constexpr std::string_view kRs256Token =
    R"(eyJhbGciOiJSUzI1NiIsImtpZCI6InIxIiwidHlwIjoiSldUIn0.eyJzdWIiOiI3Nzc3IiwiZXhwIjox)"
    R"(Nzk1Mzc3NjAwLCJuYmYiOjE3OTUzNzA0MDAsImlzcyI6Imh0dHBzOi8vaXNzdWVyLmV4YW1wbGUiLCJh)"
    R"(dWQiOlsic3Bva2UiLCJvdGhlciJdLCJzY29wZSI6Im9wZW5pZCBjb21tYW5kOnVubG9jayBkZXZpY2Vz)"
    R"(OnJlYWQiLCJkZXYiOlsiYjQzIiwiYjQyIl19.CZMHRU4lhVTdtqmtkGPfFS2oKQD6A3Vaw7S1pUWSs5d)"
    R"(-G4qOGKa7Af67y7hP2VRWdqR9_EBpLmWu7Q9BqQSyBEx8kqm7wl9CejCSRyAm1oB1CWuJV9mf0-DStfA)"
    R"(Sdysik41UJX62SiG_75FGWwS3ZXkwsJAkfUbqos2aGD33__HxjSIXss-c8qRW_HOah7g_PVLC40tQStv)"
    R"(5OXtxC89lo6c4HWxuUdIITZANRasMK56QS7BAt7kFmGjbAcvuRuB6IW6MXqolCfYXY4jP2_ggFzbQ4Nc)"
    R"(Pu4-QExIJD3L5rt3g2OMTxKhNEeod6A8moCIe9hoxE2Q4jIFdnuA2eKaINg)";

inline constexpr std::string_view kEs256Token =
    R"(eyJhbGciOiJFUzI1NiIsImtpZCI6ImUxIiwidHlwIjoiSldUIn0.eyJzdWIiOiI3Nzc3IiwiZXhwIjox)"
    R"(Nzk1Mzc3NjAwLCJuYmYiOjE3OTUzNzA0MDAsImlzcyI6Imh0dHBzOi8vaXNzdWVyLmV4YW1wbGUiLCJh)"
    R"(dWQiOlsic3Bva2UiLCJvdGhlciJdLCJzY29wZSI6Im9wZW5pZCBjb21tYW5kOnVubG9jayBkZXZpY2Vz)"
    R"(OnJlYWQiLCJkZXYiOlsiYjQzIiwiYjQyIl19.JUA26wgXBwzMeuBusDDmV3wl0Glh5poyG1PAzIVGhs4)"
    R"(Nq5d0TNHdc541IvNQUw3wxpwIBPSktt1Ep8ZSsanf9g)";

inline constexpr std::string_view kHs256Token =
    R"(eyJhbGciOiJIUzI1NiIsImtpZCI6ImgxIiwidHlwIjoiSldUIn0.eyJzdWIiOiI3Nzc3IiwiZXhwIjox)"
    R"(Nzk1Mzc3NjAwLCJuYmYiOjE3OTUzNzA0MDAsImlzcyI6Imh0dHBzOi8vaXNzdWVyLmV4YW1wbGUiLCJh)"
    R"(dWQiOlsic3Bva2UiLCJvdGhlciJdLCJzY29wZSI6Im9wZW5pZCBjb21tYW5kOnVubG9jayBkZXZpY2Vz)"
    R"(OnJlYWQiLCJkZXYiOlsiYjQzIiwiYjQyIl19.nSqqjA7C5DO3wuIfThQ4_OWtx5uU9x5m9onx-uQG2L0)";

/// HS256 with the public key of r1, as PEM text, for its secret.
inline constexpr std::string_view kConfusedToken =
    R"(eyJhbGciOiAiSFMyNTYiLCAidHlwIjogIkpXVCIsICJraWQiOiAicjEifQ.eyJzdWIiOiAiNzc3NyIsI)"
    R"(CJleHAiOiAxNzk1Mzc3NjAwLCAibmJmIjogMTc5NTM3MDQwMCwgImlzcyI6ICJodHRwczovL2lzc3Vlc)"
    R"(i5leGFtcGxlIiwgImF1ZCI6IFsic3Bva2UiLCAib3RoZXIiXSwgInNjb3BlIjogIm9wZW5pZCBjb21tY)"
    R"(W5kOnVubG9jayBkZXZpY2VzOnJlYWQiLCAiZGV2IjogWyJiNDMiLCAiYjQyIl19.YDAYOUmQk4A-1SCA)"
    R"(yPRzMowqXHMQsJJyUyvdL_t1nts)";

}  // namespace spoke::bridge::test
