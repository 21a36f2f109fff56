#include "broker/auth/acl_rules.hpp"

namespace spoke::broker {

void AclRules::add(AclWord word, std::string_view filter) {
    switch (word) {
        case AclWord::read:
            readable.emplace_back(filter);
            return;
        case AclWord::write:
            writable.emplace_back(filter);
            return;
        case AclWord::readwrite:
            readable.emplace_back(filter);
            writable.emplace_back(filter);
            return;
        case AclWord::deny:
            denied.emplace_back(filter);
            return;
    }
}

}  // namespace spoke::broker
