#include "broker/net/tls_identity.hpp"

#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <memory>

#include "protocol/topic/utf8.hpp"

namespace spoke::broker {

namespace {

constexpr std::size_t kUserNameMax = 65'535;

std::optional<std::string> text_of(ASN1_STRING const* string) {
    unsigned char* bytes = nullptr;
    int size = ASN1_STRING_to_UTF8(&bytes, string);
    if (size < 0) return std::nullopt;
    std::string text{reinterpret_cast<char const*>(bytes), static_cast<std::size_t>(size)};
    OPENSSL_free(bytes);
    bool good = !text.empty() && text.size() <= kUserNameMax &&
                text.find('\0') == std::string::npos && mqtt::is_valid_utf8(text);
    return good ? std::optional{std::move(text)} : std::nullopt;
}

std::optional<std::string> common_name(X509 const* certificate) {
    auto* subject = X509_get_subject_name(certificate);
    int place = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
    if (place < 0) return std::nullopt;
    return text_of(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, place)));
}

std::optional<std::string> alternative_name(X509 const* certificate, int kind) {
    std::unique_ptr<GENERAL_NAMES, decltype(&GENERAL_NAMES_free)> names{
        static_cast<GENERAL_NAMES*>(
            X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)),
        GENERAL_NAMES_free};
    for (int i = 0; i < sk_GENERAL_NAME_num(names.get()); ++i) {
        auto const* name = sk_GENERAL_NAME_value(names.get(), i);
        // The three kinds are one string type under three tags.
        if (name->type == kind) return text_of(name->d.ia5);
    }
    return std::nullopt;
}

}  // namespace

std::optional<std::string> identity_of(X509 const* certificate, TlsSettings::Identity kind) {
    switch (kind) {
        case TlsSettings::Identity::none:
            return std::nullopt;
        case TlsSettings::Identity::common_name:
            return common_name(certificate);
        case TlsSettings::Identity::san_dns:
            return alternative_name(certificate, GEN_DNS);
        case TlsSettings::Identity::san_email:
            return alternative_name(certificate, GEN_EMAIL);
        case TlsSettings::Identity::san_uri:
            return alternative_name(certificate, GEN_URI);
    }
    return std::nullopt;
}

}  // namespace spoke::broker
