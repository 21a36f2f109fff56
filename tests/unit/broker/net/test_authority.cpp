#include "tests/unit/broker/net/test_authority.hpp"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <stdexcept>
#include <utility>

namespace spoke::test {

namespace {

using Certificate = std::unique_ptr<X509, CertificateDeleter>;
using Key = std::unique_ptr<EVP_PKEY, KeyDeleter>;

void add_extension(X509* certificate, int id, std::string const& value) {
    std::unique_ptr<X509_EXTENSION, decltype(&X509_EXTENSION_free)> extension{
        X509V3_EXT_conf_nid(nullptr, nullptr, id, value.c_str()), X509_EXTENSION_free};
    if (!extension) throw std::runtime_error("cannot make the extension " + value);
    X509_add_ext(certificate, extension.get(), -1);
}

/// Neither issued nor signed yet.
Certificate draft(TestAuthority::Request const& request, long serial, EVP_PKEY* key) {
    Certificate made{X509_new()};
    X509_set_version(made.get(), 2);
    ASN1_INTEGER_set(X509_get_serialNumber(made.get()), serial);
    X509_gmtime_adj(X509_getm_notBefore(made.get()), -100 * 86'400);
    X509_gmtime_adj(X509_getm_notAfter(made.get()), static_cast<long>(request.valid_for.count()));
    X509_set_pubkey(made.get(), key);
    if (!request.common_name.empty()) {
        X509_NAME_add_entry_by_txt(
            X509_get_subject_name(made.get()), "CN", MBSTRING_UTF8,
            reinterpret_cast<unsigned char const*>(request.common_name.c_str()), -1, -1, 0);
    }
    if (!request.alternative_names.empty()) {
        add_extension(made.get(), NID_subject_alt_name, request.alternative_names);
    }
    return made;
}

template <class Write>
void write_pem(std::string const& path, Write write) {
    std::unique_ptr<std::FILE, int (*)(std::FILE*)> file{std::fopen(path.c_str(), "w"),
                                                         std::fclose};
    if (!file || write(file.get()) != 1) throw std::runtime_error("cannot write " + path);
}

}  // namespace

TestFolder::TestFolder() {
    auto pattern = (std::filesystem::temp_directory_path() / "spoke-tls-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("mkdtemp");
    path_ = pattern;
}

TestFolder::~TestFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
}

void TestFolder::write(std::string const& name, std::string const& text) const {
    std::ofstream{file(name), std::ios::binary} << text;
}

void TestFolder::copy(std::string const& from, std::string const& to) const {
    std::filesystem::copy_file(file(from), file(to),
                               std::filesystem::copy_options::overwrite_existing);
}

void KeyDeleter::operator()(EVP_PKEY* key) const noexcept {
    EVP_PKEY_free(key);
}

void CertificateDeleter::operator()(X509* certificate) const noexcept {
    X509_free(certificate);
}

TestAuthority::TestAuthority(TestFolder const& folder, std::string name)
    : folder_(folder), name_(std::move(name)), key_(EVP_EC_gen("P-256")) {
    certificate_ = draft({.common_name = name_}, 1, key_.get());
    X509_set_issuer_name(certificate_.get(), X509_get_subject_name(certificate_.get()));
    add_extension(certificate_.get(), NID_basic_constraints, "critical,CA:TRUE");
    add_extension(certificate_.get(), NID_key_usage, "critical,keyCertSign,cRLSign");
    X509_sign(certificate_.get(), key_.get(), EVP_sha256());
    write_pem(folder_.file(name_ + ".pem"),
              [&](std::FILE* file) { return PEM_write_X509(file, certificate_.get()); });
}

TestAuthority::~TestAuthority() = default;

long TestAuthority::issue(std::string const& file, Request const& request) {
    long serial = serial_++;
    Key key{EVP_EC_gen("P-256")};
    auto certificate = draft(request, serial, key.get());
    X509_set_issuer_name(certificate.get(), X509_get_subject_name(certificate_.get()));
    X509_sign(certificate.get(), key_.get(), EVP_sha256());
    write_pem(folder_.file(file + ".pem"),
              [&](std::FILE* to) { return PEM_write_X509(to, certificate.get()); });
    write_pem(folder_.file(file + ".key"), [&](std::FILE* to) {
        return PEM_write_PrivateKey(to, key.get(), nullptr, nullptr, 0, nullptr, nullptr);
    });
    return serial;
}

void TestAuthority::write_crl(std::string const& file, std::vector<long> const& revoked) const {
    std::unique_ptr<X509_CRL, decltype(&X509_CRL_free)> list{X509_CRL_new(), X509_CRL_free};
    X509_CRL_set_version(list.get(), 1);
    X509_CRL_set_issuer_name(list.get(), X509_get_subject_name(certificate_.get()));
    std::unique_ptr<ASN1_TIME, decltype(&ASN1_TIME_free)> time{X509_gmtime_adj(nullptr, -3600),
                                                               ASN1_TIME_free};
    X509_CRL_set1_lastUpdate(list.get(), time.get());
    for (long serial : revoked) {
        std::unique_ptr<ASN1_INTEGER, decltype(&ASN1_INTEGER_free)> number{ASN1_INTEGER_new(),
                                                                           ASN1_INTEGER_free};
        ASN1_INTEGER_set(number.get(), serial);
        auto* entry = X509_REVOKED_new();
        X509_REVOKED_set_serialNumber(entry, number.get());
        X509_REVOKED_set_revocationDate(entry, time.get());
        X509_CRL_add0_revoked(list.get(), entry);
    }
    X509_gmtime_adj(time.get(), 3600);
    X509_CRL_set1_nextUpdate(list.get(), time.get());
    X509_CRL_sign(list.get(), key_.get(), EVP_sha256());
    write_pem(folder_.file(file),
              [&](std::FILE* to) { return PEM_write_X509_CRL(to, list.get()); });
}

}  // namespace spoke::test
