#pragma once

#include "protocol/codec/publish_view.hpp"
#include "protocol/packet/publish.hpp"

namespace spoke::mqtt {

/// The same PUBLISH as a value that owns its bytes.
[[nodiscard]] Publish to_publish(PublishView const& view);

}  // namespace spoke::mqtt
