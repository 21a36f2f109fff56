#pragma once

#include <filesystem>
#include <string>

namespace spoke::test {

/// Keys and certificates in a temporary directory, made anew for each test program and removed with
/// it:
///   ca.pem      signs server.pem (localhost, 127.0.0.1) and client.pem; keys are server.key,
///   client.key other.pem   signs nothing of these
class Certificates {
public:
    Certificates();
    Certificates(Certificates const&) = delete;
    Certificates& operator=(Certificates const&) = delete;
    ~Certificates();

    [[nodiscard]] std::string file(std::string const& name) const { return directory_ / name; }

private:
    std::filesystem::path directory_;
};

}  // namespace spoke::test
