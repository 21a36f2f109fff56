#include "tests/unit/protocol/link/certificates.hpp"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <stdexcept>

namespace spoke::test {
namespace {

using Key = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
using Certificate = std::unique_ptr<X509, decltype(&X509_free)>;

struct Identity {
    Key key{nullptr, EVP_PKEY_free};
    Certificate certificate{nullptr, X509_free};
};

void add_extension(X509* certificate, int id, char const* value) {
    std::unique_ptr<X509_EXTENSION, decltype(&X509_EXTENSION_free)> extension{
        X509V3_EXT_conf_nid(nullptr, nullptr, id, value), X509_EXTENSION_free};
    if (!extension) throw std::runtime_error("extension");
    X509_add_ext(certificate, extension.get(), -1);
}

Identity make(char const* name, long serial, Identity const* issuer,
              char const* alternative_names) {
    Identity made;
    made.key.reset(EVP_EC_gen("P-256"));
    made.certificate.reset(X509_new());
    auto* certificate = made.certificate.get();
    X509_set_version(certificate, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), serial);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    X509_set_pubkey(certificate, made.key.get());
    X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_ASC,
                               reinterpret_cast<unsigned char const*>(name), -1, -1, 0);
    auto* signer = issuer != nullptr ? issuer->certificate.get() : certificate;
    X509_set_issuer_name(certificate, X509_get_subject_name(signer));
    if (issuer == nullptr) add_extension(certificate, NID_basic_constraints, "critical,CA:TRUE");
    if (alternative_names != nullptr) {
        add_extension(certificate, NID_subject_alt_name, alternative_names);
    }
    X509_sign(certificate, (issuer != nullptr ? issuer->key : made.key).get(), EVP_sha256());
    return made;
}

template <class Write>
void write_file(std::string const& path, Write write) {
    std::unique_ptr<std::FILE, int (*)(std::FILE*)> file{std::fopen(path.c_str(), "w"),
                                                         std::fclose};
    if (!file) throw std::runtime_error("cannot write " + path);
    write(file.get());
}

void save(Identity const& identity, std::string const& path, std::string const& key_path) {
    write_file(path, [&](std::FILE* file) { PEM_write_X509(file, identity.certificate.get()); });
    if (key_path.empty()) return;
    write_file(key_path, [&](std::FILE* file) {
        PEM_write_PrivateKey(file, identity.key.get(), nullptr, nullptr, 0, nullptr, nullptr);
    });
}

}  // namespace

Certificates::Certificates() {
    auto pattern = (std::filesystem::temp_directory_path() / "spoke-test-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("mkdtemp");
    directory_ = pattern;
    auto ca = make("test CA", 1, nullptr, nullptr);
    auto other = make("other CA", 2, nullptr, nullptr);
    auto server = make("test server", 3, &ca, "DNS:localhost,IP:127.0.0.1");
    auto client = make("bike-7", 4, &ca, nullptr);
    save(ca, file("ca.pem"), {});
    save(other, file("other.pem"), {});
    save(server, file("server.pem"), file("server.key"));
    save(client, file("client.pem"), file("client.key"));
}

Certificates::~Certificates() {
    std::error_code ignored;
    std::filesystem::remove_all(directory_, ignored);
}

}  // namespace spoke::test
