#include "broker/storage/live_deliveries.hpp"

namespace spoke::broker {
namespace {

std::uint64_t block_of(DeliveryNumber number) noexcept {
    return number.value / 64 + 1;
}

std::uint64_t bit_of(DeliveryNumber number) noexcept {
    return std::uint64_t{1} << number.value % 64;
}

}  // namespace

void LiveDeliveries::add(StoredAs as, std::uint32_t message_size) {
    auto& block = blocks_[block_of(as.number)];
    if ((block.present & bit_of(as.number)) != 0) return;
    block.present |= bit_of(as.number);
    ++deliveries_;
    if (as.owns_message()) {
        block.own_count = (block.own_count + 1) & 0xFF;
        block.own_bytes = (block.own_bytes + message_size) & ((std::uint64_t{1} << 56) - 1);
        ++messages_;
        message_bytes_ += message_size;
        return;
    }
    auto& shared = shared_[as.number.value - as.message_back];
    if (shared.deliveries++ == 0) {
        shared.bytes = message_size;
        ++messages_;
        message_bytes_ += message_size;
    }
}

bool LiveDeliveries::has(DeliveryNumber number) const noexcept {
    auto const* block = blocks_.find(block_of(number));
    return block && (block->present & bit_of(number)) != 0;
}

LiveDeliveries::Removed LiveDeliveries::remove(StoredAs as) noexcept {
    auto* block = blocks_.find(block_of(as.number));
    if (!block || (block->present & bit_of(as.number)) == 0) return Removed::nothing;
    block->present &= ~bit_of(as.number);
    --deliveries_;
    auto removed = Removed::with_message;
    if (as.owns_message() && block->own_count > 0) {
        auto bytes = block->own_bytes / block->own_count;
        block->own_bytes = (block->own_bytes - bytes) & ((std::uint64_t{1} << 56) - 1);
        block->own_count = (block->own_count - 1) & 0xFF;
        --messages_;
        message_bytes_ -= bytes;
    }
    if (block->present == 0) blocks_.erase(block_of(as.number));
    if (as.owns_message()) return removed;

    auto message = as.number.value - as.message_back;
    auto* shared = shared_.find(message);
    if (shared && --shared->deliveries > 0) return Removed::delivery;
    if (shared) {
        --messages_;
        message_bytes_ -= shared->bytes;
        shared_.erase(message);
    }
    return removed;
}

}  // namespace spoke::broker
