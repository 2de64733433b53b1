#pragma once

// A real browser: Chromium without a window, spoken to over its debugging pipe.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace fathom::test {

// The DevTools protocol: JSON messages, each ended by a zero byte, on file descriptors 3 (to the
// browser) and 4 (from it). Everything that fails throws, so that a test ends with the reason.
class Browser {
 public:
  Browser(const std::filesystem::path& directory, int width, int height)
      : width_(width), height_(height) {
    int to[2], from[2];
    if (pipe2(to, O_CLOEXEC) != 0 || pipe2(from, O_CLOEXEC) != 0) throw std::runtime_error("pipe");
    const std::string profile = "--user-data-dir=" + (directory / "profile").string();
    const std::string log = (directory / "chromium.txt").string();
    pid_ = fork();
    if (pid_ == 0) {
      // Numbers beyond those that the browser wants, so that none is closed by another's copy.
      const int read_end = fcntl(to[0], F_DUPFD, 10), write_end = fcntl(from[1], F_DUPFD, 10);
      dup2(read_end, 3);
      dup2(write_end, 4);
      const int out = open(log.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
      dup2(out, STDOUT_FILENO);
      dup2(out, STDERR_FILENO);
      execlp("chromium", "chromium", "--headless=new", "--no-sandbox", "--disable-gpu",
             "--disable-dev-shm-usage", "--remote-debugging-pipe", profile.c_str(), nullptr);
      _exit(127);
    }
    close(to[0]);
    close(from[1]);
    to_ = to[1];
    from_ = from[0];
  }
  ~Browser() {
    close(to_);
    close(from_);
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  Browser(const Browser&) = delete;
  Browser& operator=(const Browser&) = delete;

  void Open(const std::string& address) {
    const std::string target =
        Call("Target.createTarget", {{"url", "about:blank"}}).at("targetId").get<std::string>();
    session_ = Call("Target.attachToTarget", {{"targetId", target}, {"flatten", true}})
                   .at("sessionId")
                   .get<std::string>();
    Call("Page.enable", nlohmann::json::object());
    Call("Log.enable", nlohmann::json::object());
    Call("Runtime.enable", nlohmann::json::object());
    // A window is not made narrower than some 500 pixels; a page is.
    Call("Emulation.setDeviceMetricsOverride",
         {{"width", width_}, {"height", height_}, {"deviceScaleFactor", 1}, {"mobile", false}});
    loaded_ = false;
    Call("Page.navigate", {{"url", address}});
    while (!loaded_) Note(Receive());
  }
  // Of pages that are opened from now on, in pixels.
  void Resize(int width, int height) {
    width_ = width;
    height_ = height;
  }
  void Reload() {
    loaded_ = false;
    Call("Page.reload", nlohmann::json::object());
    while (!loaded_) Note(Receive());
  }
  // What the page's author has to know: exceptions, what the content security policy forbade, and
  // what a script has said to the console.
  // Answers that are errors do not count.
  const std::vector<std::string>& faults() const { return faults_; }

  // The value of a JavaScript expression in the page; a promise is awaited.
  nlohmann::json Evaluate(const std::string& expression) {
    const nlohmann::json answer =
        Call("Runtime.evaluate",
             {{"expression", expression}, {"awaitPromise", true}, {"returnByValue", true}});
    if (answer.contains("exceptionDetails")) {
      throw std::runtime_error(expression + ": " + answer["exceptionDetails"].dump());
    }
    return answer.at("result").value("value", nlohmann::json());
  }
  // Until an expression is true.
  void WaitFor(const std::string& expression) {
    Evaluate(
        "new Promise((done, fail) => { const end = Date.now() + 30000; const look = () => { let "
        "is; "
        "try { is = (" +
        expression +
        "); } catch { is = false; } if (is) done(true); else if (Date.now() > end) "
        "fail(new Error('never true')); else setTimeout(look, 20); }; look(); })");
  }
  // As from a keyboard: a text, and one key.
  void Type(const std::string& text) { Call("Input.insertText", {{"text", text}}); }
  void Press(const std::string& key, bool shift = false) {
    const bool is_enter = key == "Enter";
    nlohmann::json event = {{"type", is_enter ? "keyDown" : "rawKeyDown"},
                            {"key", key},
                            {"code", key},
                            {"modifiers", shift ? 8 : 0},
                            {"windowsVirtualKeyCode", is_enter          ? 13
                                                      : key == "Escape" ? 27
                                                      : key == "Tab"    ? 9
                                                                        : 0}};
    if (is_enter) event["text"] = "\r";
    Call("Input.dispatchKeyEvent", event);
    event["type"] = "keyUp";
    event.erase("text");
    Call("Input.dispatchKeyEvent", event);
  }
  void PreferDark(bool dark) {
    Call("Emulation.setEmulatedMedia",
         {{"features", {{{"name", "prefers-color-scheme"}, {"value", dark ? "dark" : "light"}}}}});
  }
  // The page as a PNG.
  void Photograph(const std::filesystem::path& path) {
    const nlohmann::json picture = Call("Page.captureScreenshot", {{"format", "png"}});
    const std::string base64 = picture.at("data");
    std::ofstream file(path, std::ios::binary);
    uint32_t bits = 0;
    int held = 0;
    for (const char digit : base64) {
      static constexpr std::string_view kDigits =
          "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
      const size_t value = kDigits.find(digit);
      if (value == std::string_view::npos) break;
      bits = bits << 6 | static_cast<uint32_t>(value);
      held += 6;
      if (held < 8) continue;
      held -= 8;
      file.put(static_cast<char>(bits >> held & 0xff));
    }
  }
  // Presses, moves and lets go, as a hand does; in pixels of the page.
  void Drag(double from_x, double from_y, double to_x, double to_y) {
    const auto mouse = [&](const char* type, double x, double y, int buttons) {
      Call("Input.dispatchMouseEvent", {{"type", type},
                                        {"x", x},
                                        {"y", y},
                                        {"button", "left"},
                                        {"buttons", buttons},
                                        {"clickCount", 1}});
    };
    mouse("mousePressed", from_x, from_y, 1);
    mouse("mouseMoved", (from_x + to_x) / 2, (from_y + to_y) / 2, 1);
    mouse("mouseMoved", to_x, to_y, 1);
    mouse("mouseReleased", to_x, to_y, 0);
  }

 private:
  nlohmann::json Call(const std::string& method, nlohmann::json params) {
    nlohmann::json message = {{"id", ++id_}, {"method", method}, {"params", std::move(params)}};
    if (!session_.empty() && method.rfind("Target.", 0) != 0) message["sessionId"] = session_;
    const std::string text = message.dump();
    // With the zero byte that ends it.
    for (size_t done = 0; done <= text.size();) {
      const ssize_t n = write(to_, text.c_str() + done, text.size() + 1 - done);
      if (n <= 0) throw std::runtime_error("chromium does not listen; is it installed?");
      done += static_cast<size_t>(n);
    }
    for (;;) {
      const nlohmann::json answer = Receive();
      Note(answer);
      if (answer.value("id", 0) != id_) continue;  // an event
      if (answer.contains("error")) throw std::runtime_error(method + ": " + answer.dump());
      return answer.at("result");
    }
  }

  void Note(const nlohmann::json& message) {
    const std::string method = message.value("method", "");
    loaded_ = loaded_ || method == "Page.loadEventFired";
    if (method == "Runtime.exceptionThrown") faults_.push_back(message["params"].dump());
    if (method == "Runtime.consoleAPICalled") faults_.push_back(message["params"].dump());
    if (method != "Log.entryAdded") return;
    const nlohmann::json& entry = message["params"]["entry"];
    if (entry.value("level", "") == "error" && entry.value("source", "") != "network") {
      faults_.push_back(entry.dump());
    }
  }

  nlohmann::json Receive() {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    for (;;) {
      if (const size_t end = received_.find('\0'); end != std::string::npos) {
        const nlohmann::json message = nlohmann::json::parse(received_.substr(0, end));
        received_.erase(0, end + 1);
        return message;
      }
      const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
          deadline - std::chrono::steady_clock::now());
      pollfd readable{.fd = from_, .events = POLLIN, .revents = 0};
      if (left.count() <= 0 || poll(&readable, 1, static_cast<int>(left.count())) <= 0) {
        throw std::runtime_error("chromium does not answer");
      }
      char piece[4096];
      const ssize_t n = read(from_, piece, sizeof(piece));
      if (n <= 0) throw std::runtime_error("chromium has ended; is it installed?");
      received_.append(piece, static_cast<size_t>(n));
    }
  }

  int width_, height_;
  pid_t pid_ = -1;
  int to_ = -1, from_ = -1, id_ = 0;
  bool loaded_ = false;  // the page that was navigated to
  std::string session_, received_;
  std::vector<std::string> faults_;
};

}  // namespace fathom::test
