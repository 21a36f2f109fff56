#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace spoke::broker {

/// What one line of an ACL file grants or denies.
enum class AclWord { read, write, readwrite, deny };

/// A valid topic filter that is asked for every message: most topics are told apart by what stands
/// before its first wildcard.
class AclFilter {
public:
    explicit AclFilter(std::string_view text);

    [[nodiscard]] std::string const& text() const noexcept { return text_; }

    /// As mqtt::matches(). Cost O(length), no allocation.
    [[nodiscard]] bool matches(std::string_view topic) const noexcept;

private:
    std::string text_;
    std::size_t literal_size_;  // before the first wildcard; all of it if there is none
};

/// Rules of one origin, by what they do. A filter may stand in several lists.
struct AclRules {
    std::vector<AclFilter> denied;
    std::vector<AclFilter> readable;
    std::vector<AclFilter> writable;

    void add(AclWord word, std::string_view filter);

    [[nodiscard]] bool is_empty() const noexcept {
        return denied.empty() && readable.empty() && writable.empty();
    }
};

}  // namespace spoke::broker
