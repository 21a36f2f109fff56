#pragma once

#include <openssl/types.h>

#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace spoke::test {

/// A folder for the files of one test, removed with it.
class TestFolder {
public:
    TestFolder();
    ~TestFolder();
    TestFolder(TestFolder const&) = delete;
    TestFolder& operator=(TestFolder const&) = delete;

    [[nodiscard]] std::string file(std::string const& name) const { return path_ / name; }
    void write(std::string const& name, std::string const& text) const;
    void copy(std::string const& from, std::string const& to) const;

private:
    std::filesystem::path path_;
};

struct KeyDeleter {
    void operator()(EVP_PKEY* key) const noexcept;
};
struct CertificateDeleter {
    void operator()(X509* certificate) const noexcept;
};

/// A certificate authority, whose certificate is NAME.pem in the folder.
class TestAuthority {
public:
    TestAuthority(TestFolder const& folder, std::string name);
    ~TestAuthority();

    struct Request {
        std::string common_name{};
        std::string alternative_names{};  // as OpenSSL writes them: "DNS:a.example,URI:x:y"
        std::chrono::seconds valid_for{90 * 86'400};  // below 0: expired by that much
    };
    /// Makes FILE.pem and FILE.key. Gives the serial number.
    long issue(std::string const& file, Request const& request);
    /// Makes FILE, a list of revoked serial numbers.
    void write_crl(std::string const& file, std::vector<long> const& revoked) const;

private:
    TestFolder const& folder_;
    std::string name_;
    long serial_ = 100;
    std::unique_ptr<EVP_PKEY, KeyDeleter> key_;
    std::unique_ptr<X509, CertificateDeleter> certificate_;
};

}  // namespace spoke::test
