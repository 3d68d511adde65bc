package dev.curfew;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.Map;
import org.junit.jupiter.api.Test;

class RecordFieldTest {

    @Test
    void R11_3_physicalNamesCanBeMapped() {
        Map<RecordField, String> names = RecordField.names(Map.of(RecordField.CREATED_AT, "inserted_at"));
        assertThat(names)
                .hasSize(RecordField.values().length)
                .containsEntry(RecordField.CREATED_AT, "inserted_at")
                .containsEntry(RecordField.UPDATED_AT, "updated_at");
        // Two may change places.
        assertThat(RecordField.names(
                        Map.of(RecordField.CREATED_AT, "updated_at", RecordField.UPDATED_AT, "created_at")))
                .containsEntry(RecordField.UPDATED_AT, "created_at");
    }

    @Test
    void R11_3_anEmptyOrDoubleNameIsRefused() {
        assertThatThrownBy(() -> RecordField.names(Map.of(RecordField.JTI, "")))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("JTI");
        assertThatThrownBy(() -> RecordField.names(Map.of(RecordField.CREATED_AT, "updated_at")))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("'updated_at'");
    }
}
