#include "broker/net/mailbox.hpp"

#include "broker/net/connection.hpp"

namespace spoke::broker {

Mail::Mail() = default;
Mail::~Mail() = default;

Mailbox::~Mailbox() {
    take_all([](Mail&) {});
}

void Mailbox::put(std::unique_ptr<Mail> mail) noexcept {
    Mail* fresh = mail.release();
    fresh->next = head_.load(std::memory_order_relaxed);
    while (!head_.compare_exchange_weak(fresh->next, fresh, std::memory_order_release,
                                        std::memory_order_relaxed)) {
    }
}

}  // namespace spoke::broker
