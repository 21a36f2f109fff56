#include "broker/core/link.hpp"

#include "broker/core/authentication.hpp"

namespace spoke::broker {

Link::Link() = default;
Link::~Link() = default;

}  // namespace spoke::broker
