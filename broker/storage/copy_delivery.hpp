#pragma once

#include "broker/core/ports/store.hpp"

namespace spoke::broker {

/// A StoredDelivery is only moved by itself, since copies of its identifiers may cost an
/// allocation.
[[nodiscard]] inline StoredDelivery copy_of(StoredDelivery const& from) {
    StoredDelivery copy;
    copy.session = from.session;
    copy.as = from.as;
    copy.ids = from.ids.clone();
    copy.share = from.share;
    copy.deadline = from.deadline;
    copy.message_size = from.message_size;
    copy.qos = from.qos;
    copy.retain = from.retain;
    copy.wants_receipt = from.wants_receipt;
    return copy;
}

}  // namespace spoke::broker
