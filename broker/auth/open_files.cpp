#include "broker/auth/open_files.hpp"

#include <utility>

#include "broker/auth/random_bytes.hpp"

namespace spoke::broker {
namespace {

constexpr std::size_t kServerSecretBytes = 32;

}  // namespace

std::unique_ptr<Reloadable<PasswordFile>> open_password_file(std::string path,
                                                             PasswordLimits const& limits) {
    return std::make_unique<Reloadable<PasswordFile>>(
        std::move(path), limits.bytes_max, [limits](std::string_view text, std::string_view name) {
            return PasswordFile::parse(text, name, limits);
        });
}

std::unique_ptr<Reloadable<AclFile>> open_acl_file(std::string path, AclLimits const& limits) {
    return std::make_unique<Reloadable<AclFile>>(
        std::move(path), limits.bytes_max, [limits](std::string_view text, std::string_view name) {
            return AclFile::parse(text, name, limits);
        });
}

std::unique_ptr<Reloadable<ScramFile>> open_scram_file(std::string path,
                                                       ScramLimits const& limits) {
    return std::make_unique<Reloadable<ScramFile>>(
        std::move(path), limits.bytes_max,
        [limits, secret = random_bytes(kServerSecretBytes)](std::string_view text,
                                                            std::string_view name) {
            return ScramFile::parse(text, name, secret, limits);
        });
}

}  // namespace spoke::broker
