#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace spoke::broker {

/// What one line of an ACL file grants or denies.
enum class AclWord { read, write, readwrite, deny };

/// Rules of one origin, by what they do. A filter may stand in several lists.
struct AclRules {
    std::vector<std::string> denied;
    std::vector<std::string> readable;
    std::vector<std::string> writable;

    void add(AclWord word, std::string_view filter);

    [[nodiscard]] bool is_empty() const noexcept {
        return denied.empty() && readable.empty() && writable.empty();
    }
};

}  // namespace spoke::broker
