#include "serve/openai/engine_service.h"

#include <exception>
#include <utility>

#include "base/log.h"

namespace fathom {

EngineService::EngineService(Engine& engine, std::vector<EngineObserver*> observers)
    : engine_(engine), observers_(std::move(observers)) {
  Publish();
  thread_ = std::thread([this] { Run(); });
}

EngineService::~EngineService() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  arrived_.notify_all();
  thread_.join();
  for (const auto& [id, choice] : choices_) engine_.Cancel(id);
}

uint64_t EngineService::Submit(std::vector<GenerationRequest> choices,
                               std::shared_ptr<EngineClient> client) {
  FATHOM_CHECK(!choices.empty());
  const std::lock_guard lock(mutex_);
  const uint64_t ticket = next_ticket_++;
  orders_.push_back({ticket, std::move(choices), std::move(client)});
  arrived_.notify_one();
  return ticket;
}

void EngineService::Cancel(uint64_t ticket) {
  const std::lock_guard lock(mutex_);
  orders_.push_back({ticket, {}, nullptr});
  arrived_.notify_one();
}

void EngineService::GiveUp() {
  const std::lock_guard lock(mutex_);
  gives_up_ = true;
  arrived_.notify_one();
}

EngineService::State EngineService::state() const {
  const std::lock_guard lock(mutex_);
  State state = state_;
  if (busy_) {
    state.stalled = std::chrono::duration_cast<std::chrono::milliseconds>(
        std::chrono::steady_clock::now() - last_step_);
  }
  return state;
}

void EngineService::Publish() {
  for (EngineObserver* observer : observers_) observer->OnStep(engine_);
  const std::lock_guard lock(mutex_);
  state_.running = engine_.scheduler().running();
  state_.waiting = engine_.scheduler().waiting();
  last_step_ = std::chrono::steady_clock::now();
  busy_ = !engine_.idle();
}

void EngineService::Run() {
  for (;;) {
    std::vector<Order> orders;
    bool gives_up;
    {
      std::unique_lock lock(mutex_);
      arrived_.wait(lock, [&] { return stop_ || !orders_.empty() || !engine_.idle(); });
      if (stop_) return;
      orders.swap(orders_);
      gives_up = gives_up_;
    }
    if (gives_up) {
      GiveUpAll(std::move(orders));
      Publish();
      continue;
    }
    std::vector<std::shared_ptr<EngineClient>> taken;
    for (Order& order : orders) {
      if (auto client = Take(std::move(order))) taken.push_back(std::move(client));
    }
    Publish();
    // Only now: who is told so finds their choices in state().
    for (const auto& client : taken) client->OnTaken();
    try {
      if (!engine_.idle()) Deliver(engine_.Step());
    } catch (const std::exception& error) {
      spdlog::error("the engine failed: {}", error.what());
      Fail(error.what());
    }
    Publish();
  }
}

std::shared_ptr<EngineClient> EngineService::Take(Order order) {
  if (order.choices.empty()) {
    EndTicket(order.ticket, "abort");
    return nullptr;
  }
  try {
    for (size_t i = 0; i < order.choices.size(); ++i) {
      const Clock::time_point arrival = order.choices[i].arrival.value_or(Clock::now());
      const int64_t id = engine_.AddRequest(std::move(order.choices[i]), /*joins=*/i > 0);
      choices_.emplace(id, Choice{order.ticket, i, order.client, arrival, arrival, {}});
      of_ticket_.emplace(order.ticket, id);
    }
    return order.client;
  } catch (const Error& error) {
    EndTicket(order.ticket, "abort");
    order.client->OnRefused(error, dynamic_cast<const QueueFullError*>(&error) != nullptr);
    return nullptr;
  }
}

void EngineService::Deliver(const std::vector<EngineEvent>& events) {
  for (const EngineEvent& event : events) {
    const auto found = choices_.find(event.request);
    if (found == choices_.end()) continue;  // given up by an earlier event of this step
    Observe(found->second, event);
    const bool goes_on = found->second.client->OnEvent(found->second.number, event);
    if (goes_on && event.finish == FinishReason::kNone) continue;
    engine_.Cancel(event.request);
    // One who has had enough has found what ends its text.
    End(found, event.finish == FinishReason::kNone ? "stop" : Name(event.finish));
  }
}

void EngineService::Observe(Choice& choice, const EngineEvent& event) {
  if (event.usage.prompt_tokens > 0) choice.usage = event.usage;
  if (event.scored || event.finish == FinishReason::kFailed) return;
  const Clock::time_point now = Clock::now();
  const Clock::duration since_last = now - std::exchange(choice.last_token, now);
  for (EngineObserver* observer : observers_) observer->OnToken(event, since_last);
}

void EngineService::End(std::map<int64_t, Choice>::iterator choice, std::string_view reason) {
  const Clock::duration since_arrival = Clock::now() - choice->second.arrival;
  for (EngineObserver* observer : observers_) {
    observer->OnEnd(choice->second.usage, reason, since_arrival);
  }
  const auto [begin, end] = of_ticket_.equal_range(choice->second.ticket);
  for (auto at = begin; at != end; ++at) {
    if (at->second != choice->first) continue;
    of_ticket_.erase(at);
    break;
  }
  choices_.erase(choice);
}

void EngineService::Fail(const std::string& error) {
  while (!choices_.empty()) {
    const auto& [id, choice] = *choices_.begin();
    choice.client->OnEvent(choice.number,
                           {.request = id, .finish = FinishReason::kFailed, .error = error});
    EndTicket(choice.ticket, "error");
  }
}

void EngineService::GiveUpAll(std::vector<Order> orders) {
  for (const Order& order : orders) {
    if (order.client != nullptr) order.client->OnGivenUp();
  }
  while (!choices_.empty()) {
    const Choice& choice = choices_.begin()->second;
    choice.client->OnGivenUp();
    EndTicket(choice.ticket, "abort");
  }
}

void EngineService::EndTicket(uint64_t ticket, std::string_view reason) {
  for (auto at = of_ticket_.find(ticket); at != of_ticket_.end(); at = of_ticket_.find(ticket)) {
    engine_.Cancel(at->second);
    End(choices_.find(at->second), reason);
  }
}

}  // namespace fathom
