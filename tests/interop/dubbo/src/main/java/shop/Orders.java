package shop;

public interface Orders {
    String who();
}
